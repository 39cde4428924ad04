"""Discord by webhooks: one line per webhook, on which messages wait for their turn and travel together.

While one call is under way, what comes for the same webhook is gathered, and the next call carries up to ten
of it as embeds; each message still gets its own outcome. A webhook's rate limit is read from every answer and
kept, so that 429 is rare; what would have to wait for long is told when to come back. A webhook that Discord
does not know any more is not called again. Knows no delivery states.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
from yarl import URL

from hub.domain.message import Message
from hub.providers.answers import refused, short
from hub.providers.calls import Answer, Calls
from hub.providers.embeds import embed_of, fitting, single, together
from hub.providers.receipt import Outcome, Permanent, Receipt, Temporary

HOSTS = frozenset({"discord.com", "discordapp.com", "canary.discord.com", "ptb.discord.com"})
_PATH = re.compile(r"/api/(?:v\d+/)?webhooks/\d+/[\w-]+")
# The webhook is deleted, or its token is wrong.
_DEAD = frozenset({401, 403, 404})
_DEAD_REASON = "the webhook does not exist any more"
MAX_WAIT = 3.0  # seconds that a message may wait for a rate limit before it is told to come back
MAX_LINES = 1000  # webhooks that are remembered


@dataclass(eq=False, slots=True)
class _Waiting:
    message: Message
    outcome: asyncio.Future[Outcome]


@dataclass(eq=False, slots=True)
class _Line:
    """One webhook. `free_at` is when its limit lets the next call through, on the monotonic clock."""

    url: str
    queue: deque[_Waiting] = field(default_factory=deque)
    worker: asyncio.Task[None] | None = None
    free_at: float = 0.0
    dead: bool = False


class Discord:
    """`calls` bound the time of one call; a message gives up its turn after the same time."""

    name = "discord"

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._lines: OrderedDict[str, _Line] = OrderedDict()
        self._free_at = 0.0  # the limit of all webhooks together

    def takes(self, message: Message) -> bool:
        """Whether the address is a URL at all."""
        return message.address.startswith(("https:", "http:"))

    async def send(self, message: Message) -> Outcome:
        try:
            url = URL(message.address).with_fragment(None)
        except ValueError:
            url = URL()
        if not _PATH.fullmatch(url.path):
            return Permanent("not a Discord webhook", gone=True)
        line = self._line(str(url))
        if line.dead:
            return Permanent(_DEAD_REASON, gone=True)
        waiting = _Waiting(message, asyncio.get_running_loop().create_future())
        line.queue.append(waiting)
        if line.worker is None:
            line.worker = asyncio.create_task(self._work(line))
        try:
            async with asyncio.timeout(self._calls.timeout):
                return await waiting.outcome
        except TimeoutError:
            if waiting not in line.queue:
                return Temporary("no answer from Discord in time", unsure=True)
            return Temporary("no turn on this webhook in time", alone=True)
        finally:
            if waiting in line.queue:
                line.queue.remove(waiting)

    async def close(self) -> None:
        workers = [line.worker for line in self._lines.values() if line.worker is not None]
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await self._calls.close()

    # -- one webhook ---------------------------------------------------------------------------------
    def _line(self, url: str) -> _Line:
        line = self._lines.setdefault(url, _Line(url))
        self._lines.move_to_end(url)
        while len(self._lines) > MAX_LINES:
            oldest = next(iter(self._lines.values()))
            if oldest.worker is not None:
                break
            del self._lines[oldest.url]
        return line

    async def _work(self, line: _Line) -> None:
        """Until nobody waits: wait for the limit, take what fits into one message, call, tell everyone."""
        try:
            while line.queue:
                wait = max(line.free_at, self._free_at) - time.monotonic()
                if wait > MAX_WAIT:
                    whole = self._free_at > line.free_at
                    later = Temporary("the rate limit of Discord", retry_after=wait, alone=not whole)
                    self._tell(list(line.queue), later)
                    line.queue.clear()
                    return
                if wait > 0:
                    await asyncio.sleep(wait)
                batch = _take(line.queue)
                if batch:
                    await self._send(line, batch)
        finally:
            line.worker = None

    async def _send(self, line: _Line, batch: list[_Waiting]) -> None:
        messages = [waiting.message for waiting in batch]
        try:
            outcome = await self._post(line, messages)
        except BaseException:
            self._tell(batch, Temporary("the call to Discord broke off", unsure=True))
            raise
        if isinstance(outcome, Permanent) and not outcome.gone and len(batch) > 1:
            for waiting in batch:  # one of them is not to Discord's taste; it must not take the others along
                self._tell([waiting], await self._post(line, [waiting.message]))
            return
        self._tell(batch, outcome)

    def _tell(self, batch: list[_Waiting], outcome: Outcome) -> None:
        for waiting in batch:
            if not waiting.outcome.done():
                waiting.outcome.set_result(outcome)

    # -- one call ------------------------------------------------------------------------------------
    async def _post(self, line: _Line, messages: list[Message]) -> Outcome:
        body = single(messages[0]) if len(messages) == 1 else together([embed_of(item) for item in messages])
        answer = await self._calls.ask(
            "POST",
            line.url,
            hosts=HOSTS,
            # Discord does not read the ids; whoever stands between does.
            headers={
                "Content-Type": "application/json",
                "X-Hub-Delivery": ", ".join(item.id for item in messages),
            },
            data=orjson.dumps(body),
            query={"wait": "true"},
        )
        if not isinstance(answer, Answer):
            return answer
        self._keep_rate(line, answer.headers)
        if 200 <= answer.status < 300:
            id = answer.object().get("id")
            return Receipt(None if id is None else str(id))
        if answer.status in _DEAD:
            line.dead = True
            return Permanent(f"{answer.status} {_DEAD_REASON}", gone=True)
        if answer.status == 429:
            return self._limited(line, answer)
        said = answer.object().get("message") or answer.text
        return refused(answer.status, said, answer.headers.get("Retry-After"))

    def _keep_rate(self, line: _Line, headers: Mapping[str, str]) -> None:
        if headers.get("X-RateLimit-Remaining") == "0":
            wait = _number(headers.get("X-RateLimit-Reset-After"))
            line.free_at = max(line.free_at, time.monotonic() + (wait or 0.0))

    def _limited(self, line: _Line, answer: Answer) -> Temporary:
        """The body says the wait exactly; the header in whole seconds."""
        said = answer.object()
        found = _number(said.get("retry_after"))
        wait = _number(answer.headers.get("Retry-After")) if found is None else found
        if wait is None:
            wait = 1.0
        free_at = time.monotonic() + wait
        whole = said.get("global") is True or answer.headers.get("X-RateLimit-Scope") == "global"
        if whole:
            self._free_at = max(self._free_at, free_at)
        else:
            line.free_at = max(line.free_at, free_at)
        return Temporary(short("429 the rate limit of Discord"), retry_after=wait, alone=not whole)


def _take(queue: deque[_Waiting]) -> list[_Waiting]:
    """The first of the queue that fit into one message, without those nobody waits for any more."""
    live = [waiting for waiting in queue if not waiting.outcome.done()]
    count = fitting(embed_of(waiting.message) for waiting in live)
    queue.clear()
    queue.extend(live[count:])
    return live[:count]


def _number(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
