"""The providers of each channel in their order, and which of them is well enough to be called.

Each has a breaker (`hub.domain.breaker`); where a provider stands for many hosts, each host has one. A
provider that is slow may hold no more than its share of the calls under way, so that no channel takes the
workers of the others. Every call comes back with an outcome. Knows no deliveries and writes nothing down.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from hub.domain.breaker import Breaker, Rules, State
from hub.domain.message import Message
from hub.providers.receipt import Outcome, Provider, Temporary

MOST_HOSTS = 1000  # breakers of one provider
# A call that takes longer is slow; a provider with its share of them gets no more for the moment.
SLOW_SECONDS = 2.0
CROWDED_SECONDS = 1.0

log = structlog.get_logger(__name__)


@dataclass(eq=False, slots=True)
class _Line:
    """One provider of one channel. `under_way` holds when each call began, the oldest first."""

    channel: str
    provider: Provider
    breakers: OrderedDict[str, Breaker] = field(default_factory=OrderedDict)
    under_way: OrderedDict[object, float] = field(default_factory=OrderedDict)

    def takes(self, message: Message) -> bool:
        """Whether the provider is for such messages. Most are for all of their channel."""
        of_message: Callable[[Message], bool] | None = getattr(self.provider, "takes", None)
        return of_message is None or of_message(message)


@dataclass(slots=True)
class Resting:
    """Nobody may be called now; the first is well, perhaps, in `seconds`."""

    seconds: float


class Relay:
    """`monotonic` gives seconds. `share`: calls of one provider at once when it is slow.

    `count(name)` is told what happens: `call/CHANNEL/PROVIDER/OUTCOME`, `breaker/CHANNEL/PROVIDER/STATE`.
    """

    def __init__(
        self,
        providers: Mapping[str, Sequence[Provider]],
        *,
        rules: Rules,
        monotonic: Callable[[], float] = time.monotonic,
        share: int = 16,
        count: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._lines = {
            channel: [_Line(channel, provider) for provider in chosen]
            for channel, chosen in providers.items()
        }
        self._rules = rules
        self._monotonic = monotonic
        self._share = share
        self._count = count

    def __contains__(self, channel: str) -> bool:
        return channel in self._lines

    def turns(self, message: Message) -> Iterator[Turn | Resting]:
        """Who may be called with this message, each once, in order; at last, if nobody could be, `Resting`.

        Asks whether a provider is well only when its turn has come.
        """
        waits = []
        lines = [line for line in self._lines[message.channel] if line.takes(message)]
        lines = lines or self._lines[message.channel][:1]  # who refuses it says why
        for line in lines:
            breaker = self._breaker(line, message.address)
            wait = max(breaker.wait(self._monotonic()), self._crowded(line))
            if wait > 0:
                waits.append(wait)
            else:
                yield Turn(self, line, breaker, message)
        if len(waits) == len(lines):
            yield Resting(min(waits))

    def _breaker(self, line: _Line, address: str) -> Breaker:
        of_address: Callable[[str], str] | None = getattr(line.provider, "lane", None)
        key = of_address(address) if of_address is not None else ""
        breaker = line.breakers.setdefault(key, Breaker(self._rules))
        line.breakers.move_to_end(key)
        if len(line.breakers) > MOST_HOSTS:
            line.breakers.popitem(last=False)
        return breaker

    def _crowded(self, line: _Line) -> float:
        """Seconds to stay away from a provider that has its share and does not get on with it."""
        if len(line.under_way) < self._share:
            return 0.0
        oldest = next(iter(line.under_way.values()))
        return CROWDED_SECONDS if self._monotonic() - oldest > SLOW_SECONDS else 0.0

    # -- a turn's side -------------------------------------------------------------------------------
    async def _call(self, line: _Line, breaker: Breaker, message: Message, *, probe: bool) -> Outcome:
        mark = object()
        line.under_way[mark] = self._monotonic()
        try:
            outcome = await _safely(line.provider, message)
        finally:
            del line.under_way[mark]
        before = breaker.state
        if isinstance(outcome, Temporary) and not outcome.alone:
            breaker.unwell(self._monotonic(), retry_after=outcome.retry_after, probe=probe)
        else:
            breaker.well()
        self._say(line, before, breaker.state)
        self._count(f"call/{line.channel}/{line.provider.name}/{type(outcome).__name__.lower()}")
        return outcome

    def _say(self, line: _Line, before: State, after: State) -> None:
        if before == after:
            return
        self._count(f"breaker/{line.channel}/{line.provider.name}/{after}")
        say = log.warning if after is State.OPEN else log.info
        say(
            "a provider's breaker has moved",
            action=f"breaker.{after}",
            channel=line.channel,
            provider=line.provider.name,
        )


class Turn:
    """A provider that may be called, once: `begin` before that is written down, then `call`."""

    def __init__(self, relay: Relay, line: _Line, breaker: Breaker, message: Message) -> None:
        self._relay = relay
        self._line = line
        self._breaker = breaker
        self._message = message
        self._probe = False

    @property
    def name(self) -> str:
        return self._line.provider.name

    def begin(self) -> None:
        before = self._breaker.state
        self._probe = self._breaker.begin(self._relay._monotonic())
        self._relay._say(self._line, before, self._breaker.state)

    async def call(self) -> Outcome:
        return await self._relay._call(self._line, self._breaker, self._message, probe=self._probe)


async def _safely(provider: Provider, message: Message) -> Outcome:
    """The provider's answer. One that raises is broken in a way nobody foresaw: tried again, told loudly."""
    try:
        return await provider.send(message)
    except Exception as fault:
        log.exception("a provider failed", action="provider.failed", provider=provider.name)
        return Temporary(f"the {provider.name} provider failed: {type(fault).__name__}", unsure=True)
