"""Leaving out of an event, while it is stored, those who have muted its type.

It stands in `event_rooms` as if they had been excluded by its sender, so inboxes, counts and replays need
not know of mutes. An event for named users looks at their mutes only; one for a crowd at those of the whole
tenant, for who is in a role or a topic is in nobody's table.
"""

# ruff: noqa: S608 - made from the constants of this file, never from values
from __future__ import annotations

from collections.abc import Iterable, Sequence

import orjson

from hub.domain.events import Event
from hub.domain.preferences import EVERYTHING, EXCEPT
from hub.store.trips import Statement

_USER = "user:"
# w: tenant, type, place, and for named users the user.
_INSERT = f"""
    INSERT INTO event_rooms (tenant, room, "offset", inbox, shared, type)
    SELECT DISTINCT m.tenant, '-user:' || m."user", {{place}}, TRUE, TRUE, {{type}}
    FROM {{wanted}} JOIN mutes AS m
        ON m.tenant = {{tenant}} AND m.type IN ({{type}}, '{EVERYTHING}'){{user}}
    WHERE NOT EXISTS (
        SELECT 1 FROM mutes AS k
        WHERE k.tenant = m.tenant AND k.type = '{EXCEPT}' || {{type}} AND k."user" = m."user"
    )
    ON CONFLICT DO NOTHING
"""
_SQLITE = {
    "wanted": "json_each(?) AS w CROSS",  # in this order: few are wanted, and many may have muted
    "tenant": "json_extract(w.value, '$[0]')",
    "type": "json_extract(w.value, '$[1]')",
    "place": "json_extract(w.value, '$[2]')",
}
_POSTGRESQL = {
    "wanted": "json_array_elements(%s::json) AS w",
    "tenant": "w->>0",
    "type": "(w->>1)",
    "place": "(w->>2)::bigint",
}
_TEXT = {
    (sqlite, named): _INSERT.format(**words, user=f' AND m."user" = {who}' if named else "")
    for sqlite, words, who in (
        (True, _SQLITE, "json_extract(w.value, '$[3]')"),
        (False, _POSTGRESQL, "w->>3"),
    )
    for named in (False, True)
}


def left_out(events: Sequence[Event], sqlite: bool) -> Iterable[Statement]:
    """The statements that leave out of `events`, which have their places, those who have muted them."""
    named: list[tuple[str, str, int, str]] = []
    crowds: list[tuple[str, str, int]] = []
    for event in events:
        place = event.tenant, event.type, event.offset
        if all(room.startswith(_USER) for room in event.rooms):
            named += [(*place, room.removeprefix(_USER)) for room in event.rooms]
        else:
            crowds.append(place)
    if named:
        yield _TEXT[sqlite, True], (orjson.dumps(named).decode(),)
    if crowds:
        yield _TEXT[sqlite, False], (orjson.dumps(crowds).decode(),)
