"""The straight way to what is only shown: no request object, no task, one question to the store.

A route may say how to begin such a look from the caller and the header lines. When the caller is known and
there is no doubt about what is asked, the answer is written when the store has answered. Whatever would be
refused, and whatever a web page asks from elsewhere, goes the short way. This file knows no route and no
rule; what surrounds an answer is that of `hub.web.straight`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from aiohttp import hdrs, web

from hub.domain.access import Principal
from hub.web.answers import CACHED, answer_bytes
from hub.web.context import Services
from hub.web.credentials import known_user
from hub.web.middleware import put_common, request_id
from hub.web.straight import Call, Straight, Told
from hub.web.written import Form


class Answer(NamedTuple):
    """What is shown: a body in JSON, and header lines of its own, each with its end. `kept`: clients may keep
    it and ask whether it is still the same; `same`: it is."""

    body: bytes
    lines: bytes = b""
    kept: bool = False
    same: bool = False


class Looking(NamedTuple):
    """What was asked of the store; what makes the answer of its answer, or None when that takes more; and
    what finds the answer then."""

    asked: asyncio.Future[Any]
    answer: Callable[[Any], Answer | None]
    otherwise: Callable[[], Awaitable[Answer]] | None = None


# Given the caller, the request's target and its header lines by lower-case name; None: it is not for here.
Look = Callable[[Services, Principal, str, Mapping[str, str]], Looking | None]


def begin(
    straight: Straight, look: Look, target: str, path: str, fields: Mapping[str, str], told: Told
) -> Call | None:
    """Begins to look; None: it is not for here, and nothing was done."""
    if "origin" in fields:
        return None  # a page has more to be told in the answer's head
    started = time.monotonic()
    try:
        who = known_user(fields, straight.hub.tokens)
        looking = None if who is None else look(straight.hub, who, target, fields)
    except Exception:  # the short way runs into the same, and says so
        return None
    if looking is None:
        return None
    return Showing(straight, path, request_id(fields.get("x-request-id")), started, told, looking)


class Showing(Call):
    """Of a request that is to be shown something."""

    __slots__ = ("_looking",)

    def __init__(
        self, straight: Straight, path: str, id: str, started: float, told: Told, looking: Looking
    ) -> None:
        super().__init__(straight, hdrs.METH_GET, path, id, started, told)
        self._looking = looking
        looking.asked.add_done_callback(self._found)

    def cancel(self) -> None:
        super().cancel()
        self._looking.asked.cancel()

    def _found(self, asked: asyncio.Future[Any]) -> None:
        if self.done():
            return
        if asked.cancelled():  # the hub ends
            self.cancel()
            return
        try:
            answer = self._looking.answer(asked.result())
        except Exception as fault:
            self.fail(fault)
            return
        if answer is not None:
            self._show(answer)
        elif (otherwise := self._looking.otherwise) is not None:
            self.wait_for(partial(self._look_on, otherwise))

    async def _look_on(self, otherwise: Callable[[], Awaitable[Answer]]) -> None:
        self._show(await otherwise())

    def _show(self, answer: Answer) -> None:
        form = _SAME if answer.same else _SHOWN[answer.kept]
        self.finish(304 if answer.same else 200, form.filled(self.id, answer.body, answer.lines))


def _form(response: web.Response) -> Form:
    put_common(response.headers, "")
    del response.headers["X-Request-Id"]
    return Form(response)


_SAME = _form(web.Response(status=304, headers=CACHED))
_SHOWN = {kept: _form(answer_bytes(b"", headers=CACHED if kept else None)) for kept in (False, True)}
