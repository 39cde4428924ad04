"""A newer event takes the place of older ones with the same collapse key, in the transaction that stores it.

Promises: what the older ones have not sent is cancelled, and they leave the inboxes of the rooms that both
went to, except of people who have read them in a room of their own; nobody ever finds the newer one stored
and the older ones untouched. Only events before the newer one in the log are touched, so of two that come at
once the later stays. It looks at no more than MOST older ones, by an index. Does not know who is told.
"""

# ruff: noqa: S608 - made from the constants of this file, never from values
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from hub.domain.delivery import UNSENT, DeliveryUpdate, Status, shown
from hub.domain.events import Event
from hub.store.scheduled import without
from hub.store.trips import Question, Statement, Trips

MOST = 20
USER = "user:"

_UNSENT = ", ".join(f"'{status}'" for status in sorted(UNSENT))
# Of the row `r` of a room: it is a user's own, and the user has read the event.
_MINE = f"""substr(r.room, 1, {len(USER)}) = '{USER}' AND {{table}}.tenant = r.tenant
    AND {{table}}."user" = substr(r.room, {len(USER) + 1})"""
_RECEIPT = f"""EXISTS (SELECT 1 FROM receipts AS c WHERE {_MINE.format(table="c")}
    AND c."offset" = r."offset" AND {{read}})"""
_READ = f"""{_RECEIPT.format(read="c.read")} OR (
    EXISTS (SELECT 1 FROM read_marks AS m WHERE {_MINE.format(table="m")} AND m."offset" >= r."offset")
    AND NOT {_RECEIPT.format(read="NOT c.read")}
)"""
_OLDER = f"""SELECT "offset", id, rooms FROM events
    WHERE tenant = ? AND collapse_key = ? AND "offset" < ? ORDER BY "offset" DESC LIMIT {MOST}"""
_DRAFTS = "SELECT id, draft FROM scheduled WHERE tenant = ? AND collapse_key = ?"
_LESS = "UPDATE scheduled SET draft = ? WHERE id = ?"
_FORGET = "DELETE FROM scheduled WHERE id = ?"
_LEAVE = f"""UPDATE event_rooms AS r SET inbox = FALSE
    WHERE r.tenant = ? AND r."offset" = ? AND r.room IN (SELECT value FROM json_each(?)) AND r.inbox
    AND NOT ({_READ}) RETURNING room"""
_CANCEL = f"""UPDATE deliveries
    SET status = '{Status.CANCELLED}', reason = ?, due_at = NULL, lease_until = NULL, updated_at = ?
    WHERE tenant = ? AND "offset" = ? AND status IN ({_UNSENT}){{whose}}
    RETURNING id, "user", channel, attempts, error, provider, maybe_duplicate"""
_ALL = _CANCEL.format(whose="")
_SOME = _CANCEL.format(whose=' AND "user" IN (SELECT value FROM json_each(?))')
_NO_CROWD = """UPDATE expansions SET done = TRUE
    WHERE tenant = ? AND "offset" = ? AND room IN (SELECT value FROM json_each(?))"""
_WITHDRAWN = "UPDATE tenants SET withdrawn = withdrawn + 1 WHERE id = ?"
_OVER = 'UPDATE events SET collapse_key = NULL WHERE tenant = ? AND "offset" = ?'


@dataclass(frozen=True, slots=True)
class Replaced:
    """An older event: the rooms whose inboxes it has left, and the deliveries that were cancelled."""

    tenant: str
    id: str
    rooms: Sequence[str]
    cancelled: Sequence[DeliveryUpdate]


class Newer(NamedTuple):
    """An event that has its place, with its key; what it has replaced is put into `replaced`."""

    event: Event
    key: str
    replaced: list[Replaced]


@dataclass(slots=True)
class _Older:
    """`left`: the rooms that it has not lost yet."""

    offset: int
    id: str
    rooms: frozenset[str]
    left: list[str]

    @classmethod
    def of(cls, offset: int, id: str, rooms: Sequence[str]) -> _Older:
        return cls(offset, id, frozenset(rooms), list(rooms))


class Collapse:
    """`time` is how the database wants its times."""

    def __init__(self, *, sqlite: bool, time: Callable[[datetime], Any]) -> None:
        self._sqlite = sqlite
        self._time = time

    def replace(self, newer: Sequence[Newer], stored: Sequence[Statement], now: datetime) -> Trips:
        """The rest of a transaction in which `stored` writes these events, in the order of their offsets."""
        first: dict[tuple[str, str], int] = {}
        for one in newer:
            first.setdefault((one.event.tenant, one.key), one.event.offset)
        found = yield Question(
            stored,
            [
                *(self._ask(_OLDER, *place, offset) for place, offset in first.items()),
                *(self._ask(_DRAFTS, *place) for place in first),
            ],
        )
        before = {
            place: [_Older.of(offset, id, orjson.loads(rooms)) for offset, id, rooms in rows]
            for place, rows in zip(first, found[: len(first)], strict=True)
        }
        drafts: dict[tuple[str, str], dict[str, str | None]] = {
            place: dict(rows) for place, rows in zip(first, found[len(first) :], strict=True)
        }
        waiting = {id: text for texts in drafts.values() for id, text in texts.items()}
        asked: list[Statement] = []
        last: list[Statement] = []
        pairs: list[tuple[Newer, _Older]] = []
        for one in newer:
            event, place = one.event, (one.event.tenant, one.key)
            rooms, still = frozenset(event.rooms), before[place]
            for older in still[:MOST]:
                both, wholly = [room for room in older.left if room in rooms], older.rooms <= rooms
                if not both and not wholly:
                    continue
                older.left = [room for room in older.left if room not in rooms]
                pairs.append((one, older))
                asked += self._take_back(event, older, both, wholly=wholly, now=now)
                last.append(self._ask(_NO_CROWD, event.tenant, older.offset, _json(both)))
                if wholly:  # nobody need look at it again
                    last.append(self._ask(_OVER, event.tenant, older.offset))
                    still.remove(older)
            still.insert(0, _Older.of(event.offset, event.id, event.rooms))
            texts = drafts[place]
            for id, text in texts.items():
                if text is not None and id < event.id:
                    texts[id] = without(text, rooms)
        for texts in drafts.values():
            for id, text in texts.items():
                if text is None:
                    last.append(self._ask(_FORGET, id))
                elif text != waiting[id]:
                    last.append(self._ask(_LESS, text, id))
        if asked:
            done = yield Question((), asked)
            for (one, older), gone, cancelled in zip(pairs, done[::2], done[1::2], strict=True):
                names = sorted(room for (room,) in gone)
                updates = [_cancelled(row, one.event, older, now) for row in cancelled]
                if names:
                    last.append(self._ask(_WITHDRAWN, one.event.tenant))
                if names or updates:
                    one.replaced.append(Replaced(one.event.tenant, older.id, names, updates))
        return last

    def _take_back(
        self, event: Event, older: _Older, both: Sequence[str], *, wholly: bool, now: datetime
    ) -> list[Statement]:
        """What takes the older one out of the inboxes, and its unsent deliveries back."""
        values = (_reason(event), self._time(now), event.tenant, older.offset)
        people = [room.removeprefix(USER) for room in both if room.startswith(USER)]
        return [
            self._ask(_LEAVE, event.tenant, older.offset, _json(both)),
            self._ask(_ALL, *values) if wholly else self._ask(_SOME, *values, _json(people)),
        ]

    def _ask(self, sql: str, *values: Any) -> Statement:
        if not self._sqlite:
            sql = sql.replace("value FROM json_each(?)", "json_array_elements_text(?::json)")
            sql = sql.replace("?", "%s")
        return sql, values


def _cancelled(row: Sequence[Any], event: Event, older: _Older, now: datetime) -> DeliveryUpdate:
    id, user, channel, attempts, error, provider, maybe_duplicate = row
    return DeliveryUpdate(
        id=id,
        notification=older.id,
        tenant=event.tenant,
        user=user,
        channel=channel,
        status=shown(Status.CANCELLED),
        attempts=attempts,
        error=error or _reason(event),
        provider=provider,
        at=now,
        maybe_duplicate=bool(maybe_duplicate),
    )


def _reason(event: Event) -> str:
    return f"replaced by {event.id}"


def _json(names: Sequence[str]) -> str:
    return orjson.dumps(names).decode()
