"""The example's sender, run as a person would run it, against a hub that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

SCRIPT = Path(__file__).parents[2] / "examples" / "replay_bookings.py"
KEY = "hub_test_key"


class Stub:
    """Answers like a hub: contiguous offsets, idempotency keys. `trouble` may answer in its place."""

    def __init__(self) -> None:
        self.offsets: Counter[str] = Counter()
        self.answers: dict[str, dict[str, Any]] = {}
        self.bodies: list[dict[str, Any]] = []
        self.requests = 0
        self.trouble: dict[int, Any] = {}  # request number -> response, or an exception class

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/notifications", self.one)
        app.router.add_post("/notifications/batch", self.batch)
        return app

    def accept(self, body: dict[str, Any], key: str) -> dict[str, Any]:
        if key in self.answers:
            return self.answers[key] | {"idempotencyReplayed": True}
        self.bodies.append(body)
        tenant = body["tenantId"]
        self.offsets[tenant] += 1
        number = len(self.bodies)
        self.answers[key] = {"id": f"id-{number}", "cursor": f"e1:{self.offsets[tenant]}", "recipients": 1}
        return self.answers[key]

    def refuse(self, request: web.Request) -> web.Response | None:
        self.requests += 1
        trouble = self.trouble.pop(self.requests, None)
        if trouble is ConnectionResetError:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return trouble() if trouble else None

    async def one(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        body = await request.json()
        if refusal := self.refuse(request):
            return refusal
        answer = self.accept(body, request.headers["Idempotency-Key"])
        headers = {"Idempotency-Replayed": "true"} if answer.pop("idempotencyReplayed", False) else {}
        return web.json_response(answer, status=202, headers=headers)

    async def batch(self, request: web.Request) -> web.Response:
        items = (await request.json())["notifications"]
        if refusal := self.refuse(request):
            return refusal
        results = [{"status": 202} | self.accept(item, item.pop("idempotencyKey")) for item in items]
        return web.json_response({"results": results})


@pytest.fixture
def stub() -> Stub:
    return Stub()


@pytest.fixture
async def url(stub: Stub) -> AsyncIterator[str]:
    async with TestServer(stub.app()) as server:
        yield str(server.make_url("/"))


async def run(url: str, *options: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SCRIPT), "--url", url, "--key", KEY, "--rate", "0", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, " ".join(output.decode().split())


def busy() -> web.Response:
    return web.json_response({"title": "Too many requests"}, status=429, headers={"Retry-After": "0.01"})


def invalid() -> web.Response:
    return web.json_response({"detail": "data: too large"}, status=422)


async def test_a_sound_hub_adds_up(stub: Stub, url: str) -> None:
    code, output = await run(url, "--max", "60")
    assert code == 0, output
    assert "Everything adds up" in output
    assert 50 < len(stub.bodies) <= 60
    assert stub.offsets.keys() == {"city-hotel", "resort-hotel"}


async def test_busy_answers_and_broken_connections_are_tried_again(stub: Stub, url: str) -> None:
    stub.trouble = {3: busy, 4: busy, 9: ConnectionResetError}
    code, output = await run(url, "--max", "30")
    assert code == 0, output
    assert "again in 0.0 s (Too many requests)" in output
    assert stub.requests == len(stub.bodies) + 3
    assert len(stub.answers) == len(stub.bodies)


async def test_a_second_run_doubles_nothing_and_another_series_does(stub: Stub, url: str) -> None:
    await run(url, "--max", "30")
    sent = len(stub.bodies)
    code, output = await run(url, "--max", "60")
    assert code == 0, output
    first = len(stub.bodies)
    assert first > sent
    assert (await run(url, "--max", "60"))[0] == 0
    assert len(stub.bodies) == first
    assert (await run(url, "--max", "60", "--run", "fresh"))[0] == 0
    assert len(stub.bodies) == 2 * first


async def test_a_batch_is_sent_in_one_request_and_keeps_the_order(stub: Stub, url: str) -> None:
    stub.trouble = {2: busy}
    code, output = await run(url, "--max", "60", "--batch", "25")
    assert code == 0, output
    assert stub.requests == 4
    alone = Stub()
    async with TestServer(alone.app()) as server:
        await run(str(server.make_url("/")), "--max", "60")
    assert stub.bodies == alone.bodies


async def test_a_refused_notification_does_not_add_up(stub: Stub, url: str) -> None:
    stub.trouble = {5: invalid}
    code, output = await run(url, "--max", "30")
    assert code == 1
    assert "does not add up" in output
    assert "422 data: too large" in output


async def test_a_hole_in_the_cursors_does_not_add_up_unless_others_send_too(stub: Stub, url: str) -> None:
    def skip() -> None:
        stub.offsets["city-hotel"] += 1

    stub.trouble = {5: skip}
    code, output = await run(url, "--max", "30")
    assert code == 1
    assert "city-hotel: nothing stands at offset" in output
    code, output = await run(url, "--max", "30", "--shared")
    assert code == 0, output


async def test_an_id_given_twice_does_not_add_up(stub: Stub, url: str) -> None:
    stub.trouble = {5: lambda: web.json_response({"id": "id-1", "cursor": "e1:99"}, status=202)}
    code, output = await run(url, "--max", "30", "--shared")
    assert code == 1
    assert "1 ids were given more than once, the first is 'id-1'" in output


async def test_a_wrong_key_ends_the_run_at_once(stub: Stub, url: str) -> None:
    stub.trouble = {1: lambda: web.json_response({"title": "Unauthorized"}, status=401)}
    code, output = await run(url, "--max", "30")
    assert code == 1
    assert "Gave up: 401 Unauthorized" in output
    assert stub.requests == 1


async def test_a_hub_that_is_away_is_waited_for_and_then_given_up() -> None:
    code, output = await run("http://127.0.0.1:9", "--max", "30", "--patience", "0.5")
    assert code == 1
    assert "Gave up: no answer within 0.5 s" in output
