"""The short way: what goes by it is answered as aiohttp would answer; what is in doubt goes to aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import structlog
from aiohttp import web

from hub.domain.access import ApiKey
from hub.domain.errors import StoreUnavailable
from hub.store.appending import Appended
from hub.web import short
from hub.web.routes import ROUTES
from hub.web.routing import Route, backend
from tests.buses import eventually
from tests.doors import doors
from tests.realtime import on_both_loops
from tests.talks import answered, talking

GOOD = b'{"type":"test","to":"user:1"}'
COMMON = ("Host: hub", "Authorization: Bearer hub_acme")


def request(
    *lines: str, method: str = "POST", path: str = "/notifications", body: bytes = GOOD, version: str = "1.1"
) -> bytes:
    head = [f"{method} {path} HTTP/{version}", *COMMON, *lines]
    if body:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


@pytest.mark.parametrize(
    "sent",
    [
        request(),
        request("X-Request-Id: one"),
        request("Origin: http://elsewhere"),
        request(body=b"{"),
        request("X-API-Key: hub_none", path="/events"),
        request("Idempotency-Key: 1", "idempotency-key: 2"),
        request(path="/notifications/batch", body=b'{"notifications":[%b,{}]}' % GOOD),
        request(method="GET", path="/notifications/unread-count", body=b""),
        request(method="GET", path="/notifications?limit=0&read=%74rue", body=b""),
    ],
)
async def test_both_ways_answer_alike(sent: bytes) -> None:
    answers = []
    for way in (True, False):
        async with doors(short=way) as web, talking(web) as raw:
            await raw.write(sent)
            answers.append(await answered(raw))
            assert web.long == (0 if way else 1)
    assert answers[0] == answers[1]


DOUBTFUL = {
    "another route": request(method="GET", path="/livez", body=b""),
    "another method": request(method="PUT"),
    "a path that is written differently": request(path="/notifications/"),
    "an absolute address": request(path="http://hub/notifications"),
    "a fragment": request(path="/notifications#a"),
    "HTTP/1.0": request(version="1.0"),
    "a connection to be closed": request("Connection: close"),
    "an upgrade": request("Upgrade: h2c"),
    "chunks": request("Transfer-Encoding: chunked", body=b"").removesuffix(b"\r\n") + b"\r\n0\r\n\r\n",
    "chunks and a length": request("transfer-encoding: chunked"),
    "a packed body": request("Content-Encoding: gzip"),
    "an expectation": request("Expect: 100-continue"),
    "no host": request().replace(b"Host: hub\r\n", b""),
    "two hosts": request("Host: other"),
    "two lengths": request("Content-Length: 5"),
    "a signed length": request(body=b"")[:-2] + b"Content-Length: +29\r\n\r\n" + GOOD,
    "a GET with a body": request(method="GET"),
    "a folded line": request("A: b\r\n c"),
    "a space before the colon": request("A : b"),
    "a line without a colon": request("abc"),
    "a line that ends early": request("A: b\nC: d"),
    "a character that is no ASCII": request("A: \xe9"),
    "a zero byte": request("A: b\x00"),
    "too many lines": request(*[f"A{number}: b" for number in range(short.MAX_LINES)]),
}


@pytest.mark.parametrize("sent", DOUBTFUL.values(), ids=DOUBTFUL.keys())
async def test_what_is_in_doubt_is_judged_by_aiohttp(sent: bytes) -> None:
    answers = []
    for way in (True, False):
        async with doors(short=way) as web, talking(web) as raw:
            await raw.write(sent)
            answers.append(await answered(raw))
            assert web.long == 1
    assert answers[0] == answers[1]


@on_both_loops
async def test_a_request_may_come_in_pieces_and_several_in_one() -> None:
    async with doors(short=True) as web, talking(web) as raw:
        sent = b"".join(request(body=b'{"type":"t%d","to":"user:1"}' % number) for number in range(3))
        first = sent.index(b"\r\n\r\n") + 4
        for piece in (sent[:first], sent[first : first + 9], sent[first + 9 :]):
            await raw.write(piece)
            await asyncio.sleep(0.02)
        for _ in range(3):
            assert (await answered(raw)).endswith(b"}")
        assert [draft.type for draft in web.hub.stored] == ["t0", "t1", "t2"]
        assert web.long == 0


async def test_a_connection_that_went_to_aiohttp_takes_along_what_it_has_sent() -> None:
    async with doors(short=True) as web, talking(web) as raw:
        await raw.write(request() + request(method="GET", path="/livez", body=b"") + request())
        said = [await answered(raw) for _ in range(3)]
        assert [b" 202 " in one for one in said] == [True, False, True]
        assert (web.long, len(web.hub.stored)) == (1, 2)


async def test_a_body_that_is_not_whole_within_a_moment_is_aiohttps_to_wait_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(short, "MOMENT", 0.05)
    async with doors(short=True, body_timeout=0.3) as web, talking(web) as slow, talking(web) as late:
        sent = request()
        await slow.write(sent[:-5])
        await late.write(sent[:-5])
        await eventually(lambda: web.long == 2)
        await slow.write(sent[-5:])
        assert b" 202 " in await answered(slow)
        assert b'"body_timeout"' in await answered(late)


async def test_an_idle_connection_ends_and_one_that_is_used_does_not() -> None:
    async with doors(short=True, keepalive=0.4) as web, talking(web) as raw:
        for _ in range(3):
            await raw.write(request())
            assert b" 202 " in await answered(raw)
            await asyncio.sleep(0.2)
        async with asyncio.timeout(5):
            assert await raw.read_all() == b""


class Slow:
    """A handler that waits, in place of the one that sends."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.ended: list[str] = []

    async def __call__(self, request: web.Request, key: ApiKey) -> web.Response:
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        self.ended.append("answered")
        return web.Response(body=b"x" * int(request.query.get("size", 1)))

    @property
    def routes(self) -> tuple[Route, ...]:
        return instead(self)


def instead(handler: Callable[[web.Request, ApiKey], Awaitable[web.Response]]) -> tuple[Route, ...]:
    """The table with another handler of `POST /notifications`."""
    others = [route for route in ROUTES if (route.method, route.path) != ("POST", "/notifications")]
    return (backend("POST", "/notifications", handler, "", short=True), *others)


@on_both_loops
async def test_a_client_that_leaves_has_its_request_cancelled_and_one_line_in_the_log() -> None:
    slow = Slow()
    with structlog.testing.capture_logs() as lines:
        async with doors(short=True, routes=slow.routes) as web, talking(web) as raw:
            await raw.write(request())
            await slow.begun.wait()
            raw.close()
            await eventually(lambda: slow.ended == ["cancelled"])
    assert [line["status"] for line in lines if line["event"] == "http.answered"] == [499]


async def test_a_client_that_leaves_while_its_notification_is_stored_is_not_waited_for() -> None:
    with structlog.testing.capture_logs() as lines:
        async with doors(short=True) as web, talking(web) as raw:
            web.hub.held = True
            await raw.write(request())
            await eventually(lambda: bool(web.hub.waiting))
            [answer] = web.hub.waiting
            assert not answer.done()
            raw.close()
            await eventually(answer.done)
            answer.set_result([Appended(None, b"{}")])  # it was on its way: nobody is harmed
    assert [line["status"] for line in lines if line["event"] == "http.answered"] == [499]


async def test_who_will_get_no_answer_is_not_left_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ends(*_: Any) -> None:
        raise asyncio.CancelledError

    async with doors(short=True) as web, talking(web) as raw:
        monkeypatch.setattr(web.hub, "accept", ends)
        await raw.write(request(body=GOOD[:-1] + b',"channels":["inApp"]}'))
        async with asyncio.timeout(5):
            assert await raw.read_all() == b""


async def test_many_refused_at_once_are_answered_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> bool:
        raise StoreUnavailable

    async with doors(short=True) as web, talking(web) as raw:
        monkeypatch.setattr(web.hub, "begin", refuse)
        count = 1000
        await raw.write(request() * count)
        for _ in range(count):
            assert b" 503 " in await answered(raw)
        assert web.long == 0


async def test_closing_waits_for_a_notification_that_is_being_stored() -> None:
    async with AsyncExitStack() as stack:
        async with doors(short=True) as web:
            web.hub.held = True
            raw = await stack.enter_async_context(talking(web))
            await raw.write(request())
            await eventually(lambda: bool(web.hub.waiting))
            outcome = [Appended(None, b"{}")]
            asyncio.get_running_loop().call_later(0.1, web.hub.waiting[0].set_result, outcome)
        assert b" 202 " in await raw.read_all()


@pytest.mark.parametrize("body", [GOOD, GOOD[:-1] + b',"channels":["inApp"]}'], ids=["at once", "looked up"])
@pytest.mark.parametrize("refusal", [StoreUnavailable(retry_after=7), RuntimeError("canary")], ids=repr)
async def test_what_is_not_stored_is_answered_and_logged_alike_on_both_ways(
    refusal: Exception, body: bytes
) -> None:
    answers, logged = [], []
    for way in (True, False):
        with structlog.testing.capture_logs() as lines:
            async with doors(short=way) as web, talking(web) as raw:
                web.hub.refusal = refusal
                await raw.write(request("X-Request-Id: one", body=body))
                answers.append(await answered(raw))
                assert len(web.hub.waiting) == (way and body is GOOD)
        logged.append([(line["event"], line.get("status"), line["route"]) for line in lines])
    assert answers[0] == answers[1]
    assert logged[0] == logged[1] != []


async def test_closing_waits_for_the_request_under_way_and_ends_the_idle() -> None:
    slow = Slow()
    async with AsyncExitStack() as stack:
        async with doors(short=True, routes=slow.routes) as web:
            busy, idle = [await stack.enter_async_context(talking(web)) for _ in range(2)]
            await idle.write(request(path="/events"))
            await answered(idle)
            await busy.write(2 * request(path="/notifications?size=5000000"))
            await slow.begun.wait()
            asyncio.get_running_loop().call_later(0.1, slow.go.set)
        said = await busy.read_all()
        assert (said.count(b"HTTP/1.1 200 "), said.count(b"x")) == (1, 5000000)  # the second was never begun
        assert await idle.read_all() == b""
    assert slow.ended == ["answered"]


async def test_who_does_not_read_gets_no_more_answered() -> None:
    slow = Slow()
    slow.go.set()
    count = 200
    async with doors(short=True, routes=slow.routes) as web, talking(web) as raw:
        await raw.write(request(path="/notifications?size=200000") * count)
        await settled(lambda: len(slow.ended))
        begun = len(slow.ended)
        assert 1 <= begun < count / 2
        await raw.write(request())
        await settled(lambda: len(slow.ended))
        assert len(slow.ended) == begun
        for _ in range(count + 1):
            await answered(raw)
    assert slow.ended == ["answered"] * (count + 1)


async def settled(count: Callable[[], Any]) -> None:
    """Return when `count` says the same for a while."""
    before = None
    while before != (before := count()):
        await asyncio.sleep(0.2)


async def test_a_failure_is_500_and_the_connection_goes_on() -> None:
    async def fails(request: web.Request, key: ApiKey) -> web.Response:
        raise RuntimeError("canary")

    async with doors(short=True, routes=instead(fails)) as web, talking(web) as raw:
        for _ in range(2):
            await raw.write(request())
            answer = await answered(raw)
            assert b" 500 " in answer and b"canary" not in answer
        assert web.long == 0
