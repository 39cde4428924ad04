"""The description against a real hub: what it calls possible is tried out, by schemathesis."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from pathlib import Path

from hub.settings import DEVELOPMENT_KEY
from tests.living import Start

CONFIG = Path(__file__).parents[1] / "fixtures" / "schemathesis"
# Streams and sockets have no end; what they refuse is tried by their own tests.
WITHOUT_END = r"(/sse|/stream|/sse/.*|/ws/.*)$"


async def test_what_is_described_is_what_happens(living: Start, tmp_path: Path) -> None:
    hub = await living()
    # Of a tenant that no example names: some of them call tokens back.
    token = hub.token("1", "ADMIN", tenant="hotel-of-the-tests")
    shutil.copytree(CONFIG, tmp_path, dirs_exist_ok=True)
    program = Path(sys.executable).with_name("schemathesis")
    run = await asyncio.create_subprocess_exec(
        *(program, "run", f"{hub.url}/openapi.json", "--no-color"),
        *("--exclude-path-regex", WITHOUT_END),
        *("-H", f"Authorization: Bearer {token}", "-H", f"X-API-Key: {DEVELOPMENT_KEY}"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await run.communicate()
    said = output.decode()
    assert run.returncode == 0, said[-8000:]
    asked = re.search(r"(\d+) generated", said)
    assert asked is not None, said[-2000:]
    assert int(asked[1]) > 50, said[-2000:]  # as many as a busy machine makes up in the time it is given
