"""How many notifications stand in an inbox, counted once and then kept up to date.

Counting visits every event of the rooms by index, and every receipt that says something of its own. What was
counted is kept, together with the place in the log and the state of the tenant and the user that it holds
for; the next question asks whether these are the same, counts what has come since, and so costs the
same for an inbox of ten and of ten thousand. Promises exact numbers as of one moment, whichever process has
changed something: all that is not an arrival changes the state, in the transaction of the change, or is an
expiry, which is looked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from hub.store import inbox_sql
from hub.store.audience import Audience
from hub.store.trips import Found

MOST = 10_000  # inboxes whose counts are kept
_FRESH, _HIDDEN, _ARCHIVED, _READ = 1, 2, 4, 8


class Asker(NamedTuple):
    """Whose inbox, as it stands at `now`."""

    audience: Audience
    user: str
    now: datetime


class Tally(NamedTuple):
    """What the index says of an audience, all in all and above the watermark, and what it does not know:
    how many are `special`, by what they are."""

    every: int = 0
    fresh: int = 0
    special: tuple[tuple[int, int], ...] = ()

    @property
    def hidden(self) -> int:
        """Events that went to the audience and are not in the inbox."""
        return sum(events for bits, events in self.special if bits & _HIDDEN)

    def matching(self, *, read: bool | None, archived: bool | None) -> int:
        """Items that pass the filters: ordinary events, plus the special ones that do."""
        fresh, old, passing = self.fresh, self.every - self.fresh, 0
        for bits, events in self.special:
            if bits & _FRESH:
                fresh -= events
            else:
                old -= events
            if (
                not bits & _HIDDEN
                and archived in (None, bool(bits & _ARCHIVED))
                and read in (None, bool(bits & _READ))
            ):
                passing += events
        ordinary = 0 if archived else {None: fresh + old, False: fresh, True: old}[read]
        return ordinary + passing


class Counted(NamedTuple):
    """`tallies` per type (of all together: under ""), as of the place `upto` and the time `then`, and for as
    long as the `state` is the same."""

    state: tuple[Any, ...]
    upto: int
    then: datetime
    tallies: Mapping[str, Tally]

    @property
    def all(self) -> Tally:
        return self.tallies.get("", Tally())


NOTHING = Counted((), 0, datetime.min, {})  # of a tenant that does not exist


def question(asker: Asker, before: Counted | None, *, by_type: bool = False) -> str:
    """The statement. Its values are those of the asker; `:upto` and `:then`, of what was counted before."""
    rooms = len(asker.audience.distinct)
    text = inbox_sql.counted if before is None else inbox_sql.since
    return text(rooms, by_type=by_type)


def epoch_in(rows: Found) -> str:
    """The tenant's, "" when there is no such tenant."""
    return next((str(row[1]) for row in rows if row[0] == 0), "")


def counted(asker: Asker, rows: Found) -> Counted:
    """What the rows say that count everything."""
    sizes: dict[str, tuple[int, int]] = {}
    special: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    state: tuple[Any, ...] | None = None
    upto = 0
    for kind, first, second, third, *rest in rows:
        if kind == 0:
            upto, state = second, (first, third, *rest)
        elif kind == 1:
            sizes[first] = int(second), int(third)
        elif first is not None:
            special[first].append((second, int(third)))
    if state is None:
        return NOTHING
    tallies = {kind: Tally(*counts, tuple(special[kind])) for kind, counts in sizes.items()}
    return Counted(state, upto, asker.now, tallies)


def counted_on(asker: Asker, before: Counted, rows: Found) -> Counted | None:
    """What was counted before, with what has come since; None: it does not hold any more."""
    tallies = {**before.tallies}
    state: tuple[Any, ...] | None = None
    upto = 0
    for kind, first, second, *rest in rows:
        if kind == 0:
            upto, state = second, (first, *rest)
        elif kind == 3 and second:
            return None
        elif second:
            tally = tallies.get(first, Tally())
            tallies[first] = tally._replace(every=tally.every + second, fresh=tally.fresh + second)
    if state != before.state or upto < before.upto or asker.now < before.then:
        return None
    return Counted(before.state, upto, asker.now, tallies)


class Kept:
    """What was counted of the inboxes that were asked for last."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._counted: dict[tuple[Any, ...], Counted] = {}

    def find(self, asker: Asker, *, by_type: bool = False) -> Counted | None:
        return self._counted.get(_name(asker, by_type=by_type))

    def keep(self, asker: Asker, counted: Counted, *, by_type: bool = False) -> None:
        if not counted.state:
            return
        name = _name(asker, by_type=by_type)
        self._counted.pop(name, None)
        self._counted[name] = counted
        if len(self._counted) > self._most:
            del self._counted[next(iter(self._counted))]


def _name(asker: Asker, *, by_type: bool) -> tuple[Any, ...]:
    return asker.audience.tenant, asker.user, asker.audience.distinct, by_type
