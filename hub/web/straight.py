"""The straight way: a request that only has to be stored, answered without a request object and a task.

A route may say how to read such a request from its header lines and its body. When that finds everything
beyond doubt, the log is asked to store it and tells the connection itself; for what cannot be asked at once
there is a task, as on any other way. Whatever could be refused by the reading is not refused
here: it goes the short way, which says what is wrong. So this file knows no rule, only what surrounds one:
the id, the log line, the common headers and the shape of the answers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import structlog
from aiohttp import web

from hub.domain.drafts import Draft, IdempotencyKey
from hub.domain.errors import Refusal
from hub.store.appending import Appended
from hub.web import problems
from hub.web.answers import answer_bytes
from hub.web.context import HUB, Services
from hub.web.idempotency import REPLAYED
from hub.web.middleware import CLIENT_GONE, LOG, log, put_common, request_id
from hub.web.written import Form, bytes_of

# Told the bytes of the answer; None: there is none, and the connection is of no use any more.
Told = Callable[[bytes | None], None]
Read = Callable[[Services, Mapping[str, str], bytes], tuple[Draft, IdempotencyKey | None] | None]


class Straight:
    """The straight way of one application."""

    def __init__(self, app: web.Application) -> None:
        self.hub = app[HUB]
        self.lines = app[LOG]
        self._forms = {replayed: Form(_accepted(replayed)) for replayed in (False, True)}

    def begin(
        self, read: Read, method: str, path: str, fields: Mapping[str, str], body: bytes, told: Told
    ) -> Call | None:
        """Begins to store what was sent; None: it is not for here, and nothing was done."""
        if "origin" in fields or len(body) > self.hub.options.max_body_bytes:
            return None  # a page has more to be told in the answer's head
        started = time.monotonic()
        try:
            found = read(self.hub, fields, body)
        except Exception:  # the short way runs into the same, and says so
            return None
        if found is None:
            return None
        call = Storing(self, method, path, request_id(fields.get("x-request-id")), started, told)
        try:
            if not self.hub.ingest.begin(*found, call):
                call.wait_for(partial(call.accept, *found))
        except Exception as fault:  # soon, not now: the next request may be waiting behind this one
            asyncio.get_running_loop().call_soon(call.fail, fault)
        return call

    def accepted(self, id: str, body: bytes, *, replayed: bool) -> bytes:
        """The answer to what was stored."""
        return self._forms[replayed].filled(id, body)


class Call:
    """One request under way. It is told the outcome, and tells `told` the answer, once."""

    __slots__ = ("_method", "_path", "_started", "_straight", "_task", "_told", "_waiting", "id")

    def __init__(
        self, straight: Straight, method: str, path: str, id: str, started: float, told: Told
    ) -> None:
        self._straight = straight
        self._method = method
        self._path = path
        self.id = id
        self._started = started
        self._told: Told | None = told
        self._task: asyncio.Task[None] | None = None
        self._waiting: asyncio.Future[None] | None = None

    def done(self) -> bool:
        return self._told is None

    def cancel(self) -> None:
        """Nobody waits for the answer any more, or there will be none."""
        if self._task is not None:
            self._task.cancel()
        if self._told is not None:
            self.finish(CLIENT_GONE, None)

    def wait_for(self, answer: Callable[[], Awaitable[None]]) -> None:
        """Something has to be looked up first: `answer` does, and ends this."""
        self._task = asyncio.get_running_loop().create_task(self._wait_for(answer))

    async def _wait_for(self, answer: Callable[[], Awaitable[None]]) -> None:
        structlog.contextvars.bind_contextvars(request_id=self.id)  # for this task only
        try:
            await answer()
        except asyncio.CancelledError:  # by the client that left, or because the hub ends
            self.finish(CLIENT_GONE, None)
            raise
        except Exception as fault:
            self.fail(fault)

    def fail(self, fault: Exception) -> None:
        """It was refused, or the hub made a mistake."""
        if isinstance(fault, Refusal):
            response = problems.answer(fault)
        else:
            with structlog.contextvars.bound_contextvars(request_id=self.id):
                log.error("http.failed", method=self._method, route=self._path, exc_info=fault)
            response = problems.answer_failure()
        put_common(response.headers, self.id)
        self.finish(response.status, bytes_of(response))

    async def over(self) -> None:
        """Returns when it has its answer."""
        if self._told is not None:
            self._waiting = self._waiting or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._waiting)

    def finish(self, status: int, answer: bytes | None) -> None:
        """The answer's bytes; None: there will be none."""
        told, self._told = self._told, None
        if told is None:
            return
        took = time.monotonic() - self._started
        method, path, ms = self._method, self._path, round(took * 1000, 1)
        self._straight.hub.traffic.answered(method, path, status, took)
        self._straight.lines.info(
            "http.answered", request_id=self.id, method=method, route=path, status=status, ms=ms
        )
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
        told(answer)


class Storing(Call):
    """Of a request that is to be stored."""

    __slots__ = ()

    # What `hub.store.group` calls, beside `done` and `cancel`.
    def set_result(self, outcomes: list[Appended | Exception]) -> None:
        """It was stored, or was not."""
        [outcome] = outcomes
        if isinstance(outcome, Appended):
            self._accepted(outcome.answer, outcome.replayed)
        else:
            self.fail(outcome)

    async def accept(self, draft: Draft, key: IdempotencyKey | None) -> None:
        accepted = await self._straight.hub.ingest.accept(draft, key)
        self._accepted(accepted.body, accepted.replayed)

    def _accepted(self, body: bytes, replayed: bool) -> None:
        if self._told is not None:
            self.finish(202, self._straight.accepted(self.id, body, replayed=replayed))


def _accepted(replayed: bool) -> web.Response:
    response = answer_bytes(b"", status=202, headers={REPLAYED: "true"} if replayed else None)
    put_common(response.headers, "")
    del response.headers["X-Request-Id"]
    return response
