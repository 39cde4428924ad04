"""`python -m tests.chaos.apart PORT ADDRESS`: legal clients in a process of their own, beside a scenario's.

Who floods or reconnects by the thousand has a busy loop itself; how long others wait must be measured where
nothing else is done. Each line on stdin is a command, each line on stdout its answer in JSON: `visit N` comes
and goes N times and answers how many seconds each took to get in; `stay` opens a connection that stays;
`leave OFFSET` waits for that event, ends it, and answers how late events of the log were and what was wrong.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.chaos.targets import TENANT, Target
from tests.chaos.wires import Client
from tests.hubs import token_for

USERS = itertools.cycle(f"apart{number}" for number in range(50))
PAUSE = 0.005  # seconds between two visits


class Apart:
    """The scenario's side."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def _ask(self, command: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n".encode())
        return json.loads(await self._process.stdout.readline())

    async def visit(self, count: int) -> list[float]:
        found: list[float] = await self._ask(f"visit {count}")
        return found

    async def stay(self) -> None:
        await self._ask("stay")

    async def leave(self, offset: int) -> dict[str, Any]:
        """`delays` of the events that came up to this one, in seconds, and `faults`."""
        found: dict[str, Any] = await self._ask(f"leave {offset}")
        return found


@asynccontextmanager
async def apart(target: Target, address: str = "") -> AsyncIterator[Apart]:
    """Clients of this target that say they come from `address`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.chaos.apart", str(target.port), address),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
        cwd=Path(__file__).parents[2],
    )
    try:
        yield Apart(process)
    finally:
        process.kill()
        await process.wait()


async def main(port: int, address: str) -> None:
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    stayed: Client | None = None

    def new() -> Client:
        return Client(token_for(TENANT, next(USERS)), address=address)

    async for line in lines:
        answer: Any = None
        match line.decode().split():
            case ["visit", count]:
                answer = []
                for _ in range(int(count)):
                    started = time.monotonic()
                    one = await new().open(port)
                    answer.append(time.monotonic() - started)
                    one.close()
                    await asyncio.sleep(PAUSE)
            case ["stay"]:
                stayed = await new().open(port)
            case ["leave", offset] if stayed is not None:
                await stayed.reaches(int(offset))
                answer = {"delays": stayed.delays, "faults": stayed.faults}
                stayed.close()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
