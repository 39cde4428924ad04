"""The queries of the inbox, as text: what stands in it, in which state, and how many.

A page is found in three steps whose price does not depend on the size of the inbox: candidates by index,
those of them that pass the filters, and the items themselves. Counting does not visit every event either:
the audience's events are counted by index alone, and then only those are looked at to which something
special happened, a receipt of the user, an exclusion or an expiry. Statements are kept by number of rooms
and shape. They mean the same to SQLite and PostgreSQL; nothing here knows which it is.
"""

# ruff: noqa: S608 - made from the constants of this file and numbered parameters, never from values
from __future__ import annotations

from functools import lru_cache

from sqlalchemy import (
    BigInteger,
    Boolean,
    TextClause,
    TextualSelect,
    bindparam,
    column,
    text,
)

from hub.store.audience import arms, merged, names
from hub.store.escalations import WAITS
from hub.store.events import EVENT_COLUMNS
from hub.store.tables import UtcDateTime

_FROM = """
FROM events AS e
JOIN tenants AS t ON t.id = e.tenant
LEFT JOIN receipts AS c ON c.tenant = :tenant AND c."user" = :user AND c."offset" = e."offset"
LEFT JOIN read_marks AS m ON m.tenant = :tenant AND m."user" = :user
"""
# `e."offset" <= m."offset"` is null for a user without a watermark.
_READ = 'COALESCE(c.read, e."offset" <= m."offset", false)'
_READ_AT = 'CASE WHEN c.read IS NULL AND e."offset" <= m."offset" THEN m.read_at ELSE c.read_at END'
_ALIVE = "c.deleted_at IS NULL AND (e.expires_at IS NULL OR e.expires_at > :now)"

_ITEM = ", ".join("t.epoch" if c.name == "epoch" else f'e."{c.name}" AS "{c.name}"' for c in EVENT_COLUMNS)
_ITEM += f", {_READ} AS read, {_READ_AT} AS read_at, c.seen_at, c.archived_at"
_ITEM_COLUMNS = (
    *(column(c.name, c.type) for c in EVENT_COLUMNS),
    column("read", Boolean),
    column("read_at", UtcDateTime),
    column("seen_at", UtcDateTime),
    column("archived_at", UtcDateTime),
)

# The user's watermark; an index can be read from it on.
_MARK = 'COALESCE((SELECT w."offset" FROM read_marks AS w WHERE w.tenant = :tenant AND w."user" = :user), 0)'
PLACES = text('SELECT "offset" FROM events WHERE tenant = :tenant AND id IN :ids').bindparams(
    bindparam("ids", expanding=True)
)
# The same, each with whether an escalation of the user waits there.
PLACES_WAITING = text(
    f"""SELECT e."offset", {WAITS.format(places='= e."offset"')}
    FROM events AS e WHERE e.tenant = :tenant AND e.id IN :ids"""
).bindparams(bindparam("ids", expanding=True))
# The newest place of a tenant's log, and whether an escalation of the user waits up to it.
NEWEST = text(
    f"""SELECT t."offset", {WAITS.format(places='<= t."offset"')} FROM tenants AS t WHERE t.id = :tenant"""
)


def _excluded(rooms: int) -> str:
    return (
        "(e.exclude IS NOT NULL AND EXISTS (SELECT 1 FROM event_rooms AS x WHERE x.tenant = :tenant "
        f'AND x.room IN ({names("not", rooms)}) AND x."offset" = e."offset"))'
    )


def _member(rooms: int) -> str:
    """Whether `e` is a notification that went to one of the rooms."""
    return (
        "EXISTS (SELECT 1 FROM event_rooms AS r WHERE r.tenant = :tenant "
        f'AND r.room IN ({names("room", rooms)}) AND r."offset" = e."offset" AND r.inbox)'
    )


def _among(rooms: int) -> str:
    """As `_member`, for queries that begin with the rooms."""
    return (
        'e."offset" IN (SELECT r."offset" FROM event_rooms AS r WHERE r.tenant = :tenant '
        f"AND r.room IN ({names('room', rooms)}) AND r.inbox)"
    )


def _passes(rooms: int, *, read: bool | None, archived: bool | None, type: bool) -> str:
    """Conditions on a row of `_FROM` that is visible and passes the filters."""
    conditions = ["e.tenant = :tenant", "e.inbox", _ALIVE, f"NOT {_excluded(rooms)}"]
    if read is not None:
        conditions.append(_READ if read else f"NOT {_READ}")
    if archived is not None:
        conditions.append(f"c.archived_at IS {'NOT ' if archived else ''}NULL")
    if type:
        conditions.append("e.type = :type")
    return " AND ".join(conditions)


def _timed(sql: str) -> TextClause:
    """The statement, with `:now` bound as a time."""
    return text(sql).bindparams(bindparam("now", type_=UtcDateTime))


@lru_cache(maxsize=256)
def candidates(rooms: int, *, read: bool | None, archived: bool) -> str:
    """The newest offsets that may pass the filters, between `:after` and `:before`: above or below the
    watermark those whose state it decides, and those whose receipt does."""
    low, high = ":after", ":before"
    if read is False:
        low = f"(CASE WHEN {_MARK} > :after THEN {_MARK} ELSE :after END)"
    elif read:
        high = f"(CASE WHEN {_MARK} < :before THEN {_MARK} + 1 ELSE :before END)"
    chosen = arms(rooms, f'r.inbox AND r."offset" > {low} AND r."offset" < {high}', "DESC")
    told = "c.archived_at IS NOT NULL" if archived else f"c.read = {'true' if read else 'false'}"
    receipts = (
        'SELECT "offset" FROM (SELECT c."offset" FROM receipts AS c WHERE c.tenant = :tenant '
        f'AND c."user" = :user AND {told} AND c."offset" > :after AND c."offset" < :before '
        'ORDER BY c."offset" DESC LIMIT :limit) AS told'
    )
    if archived:
        chosen = [receipts]
    elif read is not None:
        chosen.append(receipts)
    return merged(chosen, "DESC").text


@lru_cache(maxsize=256)
def places(rooms: int, *, read: bool | None, archived: bool | None) -> str:
    """The candidates in any order, each with whether it stands in the inbox and passes, its marks, and what
    became of the user's deliveries of it: a row for each of these, or one with nulls."""
    passes = _passes(rooms, read=read, archived=archived, type=False)
    if read is not None or archived:  # else the candidates come from the rooms alone
        passes = f"{passes} AND {_member(rooms)}"
    return f"""
        SELECT p."offset", CASE WHEN {passes} THEN 1 ELSE 0 END, {_READ}, {_READ_AT}, c.seen_at,
            c.archived_at, d.id, d.channel, d.status, d.attempts, COALESCE(NULLIF(d.error, ''), d.reason)
        FROM ({candidates(rooms, read=read, archived=bool(archived))}) AS p
        LEFT JOIN events AS e ON e.tenant = :tenant AND e."offset" = p."offset"
        LEFT JOIN receipts AS c ON c.tenant = :tenant AND c."user" = :user AND c."offset" = p."offset"
        LEFT JOIN read_marks AS m ON m.tenant = :tenant AND m."user" = :user
        LEFT JOIN deliveries AS d ON d.tenant = :tenant AND d."user" = :user AND d."offset" = p."offset"
    """


# What the events at `:offsets` hold that is the same for everybody who may see them; in any order.
CONTENTS = """
    SELECT e."offset", t.epoch, e.id, e.type, e.wire, e.title, e.message, e.link, e.data, e.severity,
        e.rooms, e.created_at
    FROM events AS e JOIN tenants AS t ON t.id = e.tenant
    WHERE e.tenant = :tenant AND e."offset" IN (SELECT value FROM json_each(:offsets))
"""


@lru_cache(maxsize=256)
def passing(rooms: int, *, read: bool | None, archived: bool | None, type: bool) -> TextualSelect:
    """Those of `:offsets` that stand in the inbox and pass the filters, newest first."""
    where = _passes(rooms, read=read, archived=archived, type=type)
    sql = f'SELECT e."offset" {_FROM} WHERE {where} AND e."offset" IN :offsets AND {_member(rooms)}'
    statement = _timed(f'{sql} ORDER BY e."offset" DESC')
    return statement.bindparams(bindparam("offsets", expanding=True)).columns(column("offset", BigInteger))


@lru_cache(maxsize=1)
def items() -> TextualSelect:
    """The items at `:offsets`, newest first, whether or not they stand in the inbox."""
    sql = (
        f'SELECT {_ITEM} {_FROM} WHERE e.tenant = :tenant AND e."offset" IN :offsets ORDER BY e."offset" DESC'
    )
    return text(sql).bindparams(bindparam("offsets", expanding=True)).columns(*_ITEM_COLUMNS)


@lru_cache(maxsize=256)
def matching(rooms: int, *, read: bool | None, archived: bool | None) -> TextClause:
    """How many items of one `:type` pass the filters. Visits every event of the audience."""
    where = _passes(rooms, read=read, archived=archived, type=True)
    return _timed(f"SELECT count(*) {_FROM} WHERE {where} AND {_among(rooms)}")


# What counts hold for: they are the same as long as this is.
_STATE = """
    SELECT 0, t.epoch, t."offset", t.trimmed, t.withdrawn, COALESCE(m.changes, 0)
    FROM tenants AS t LEFT JOIN read_marks AS m ON m.tenant = t.id AND m."user" = :user
    WHERE t.id = :tenant
"""


@lru_cache(maxsize=64)
def counted(rooms: int, *, by_type: bool) -> str:
    """All that is to be known of how many there are, as of one moment, in rows that begin with their kind:
    the state (0), the sizes (1) and what is special (2). The type is '' unless `by_type`."""
    return f"{_STATE} UNION ALL {_sizes(rooms, by_type=by_type)} UNION ALL {_special(rooms, by_type=by_type)}"


@lru_cache(maxsize=64)
def since(rooms: int, *, by_type: bool) -> str:
    """What has changed since the place `:upto` and the time `:then`, as of one moment: the state (0), what
    has come since, per type (1), and whether something of the audience's has expired in between (3)."""
    type, group = ("r.type", " GROUP BY r.type") if by_type else ("''", "")
    return f"""{_STATE}
        UNION ALL SELECT 1, {type}, count(*), 0, 0, 0 FROM event_rooms AS r
        WHERE r.tenant = :tenant AND r.room IN ({names("room", rooms)}) AND r.inbox AND r."offset" > :upto
        AND NOT (r.shared AND {_again(rooms)})
        AND NOT EXISTS (SELECT 1 FROM event_rooms AS x WHERE x.tenant = :tenant
            AND x.room IN ({names("not", rooms)}) AND x."offset" = r."offset")
        AND NOT EXISTS (SELECT 1 FROM events AS e WHERE e.tenant = :tenant
            AND e."offset" = r."offset" AND e.expires_at <= :then){group}
        UNION ALL SELECT 3, '', count(*), 0, 0, 0 FROM events AS e
        WHERE e.tenant = :tenant AND e.inbox AND e.expires_at IS NOT NULL AND e.expires_at > :then
        AND e.expires_at <= :now AND {_member(rooms)}
    """


def _again(rooms: int) -> str:
    """Whether the event of `r` went to an earlier one of the rooms too."""
    # Glued to '', the room is no bound of a range: SQLite would walk all the tenant's rooms before it.
    return (
        "EXISTS (SELECT 1 FROM event_rooms AS q WHERE q.tenant = :tenant "
        f"AND q.room IN ({names('room', rooms)}) AND q.room || '' < r.room "
        'AND q."offset" = r."offset" AND q.inbox)'
    )


def _sizes(rooms: int, *, by_type: bool) -> str:
    """How many notifications went to the audience, and how many of them lie above the user's watermark.

    Counted per room, by index alone; what is `shared` counts in the first of its rooms only.
    """
    type, group = ("r.type", " GROUP BY r.type") if by_type else ("''", "")
    fresh = f'COALESCE(sum(CASE WHEN r."offset" > {_MARK} THEN 1 ELSE 0 END), 0)'
    return (
        f"SELECT 1, {type}, count(*), {fresh}, 0, 0 FROM event_rooms AS r WHERE r.tenant = :tenant "
        f"AND r.room IN ({names('room', rooms)}) AND r.inbox AND NOT (r.shared AND {_again(rooms)}){group}"
    )


def _special(rooms: int, *, by_type: bool) -> str:
    """The events that `_sizes` takes for ordinary and that are not, by what they are: of the bits 1 is fresh
    (above the watermark), 2 hidden, 4 archived, 8 read.

    Receipts that say the same as the watermark are ordinary. Asks receipts and rooms only, which lie
    together; events are scattered over the whole log.
    """
    told = f"""SELECT c."offset", CASE WHEN c.deleted_at IS NULL THEN 0 ELSE 2 END AS hidden,
            CASE WHEN c.archived_at IS NULL THEN 0 ELSE 4 END AS archived,
            CASE WHEN COALESCE(c.read, c."offset" <= {_MARK}) THEN 8 ELSE 0 END AS read
        FROM receipts AS c WHERE c.tenant = :tenant AND c."user" = :user
        AND (c.archived_at IS NOT NULL OR c.deleted_at IS NOT NULL
            OR NOT (c.read = (c."offset" <= {_MARK})))"""
    shut_out = f"""SELECT x."offset", 2, 0, 0 FROM event_rooms AS x
        WHERE x.tenant = :tenant AND x.room IN ({names("not", rooms)})"""
    expired = """SELECT e."offset", 2, 0, 0 FROM events AS e
        WHERE e.tenant = :tenant AND e.inbox AND e.expires_at IS NOT NULL AND e.expires_at <= :now"""
    type, where = "''", _member(rooms)
    if by_type:  # null: it did not go to the audience
        type, where = _type(rooms), "true"
    return f"""
        SELECT 2, {type}, e.hidden + e.archived + e.read
            + CASE WHEN e."offset" > {_MARK} THEN 1 ELSE 0 END, count(*), 0, 0
        FROM (
            SELECT o."offset", max(o.hidden) AS hidden, max(o.archived) AS archived, max(o.read) AS read
            FROM ({told} UNION ALL {shut_out} UNION ALL {expired}) AS o
            GROUP BY o."offset"
        ) AS e
        WHERE {where}
        GROUP BY 1, 2, 3
    """


def _type(rooms: int) -> str:
    """The type of `e`, when it is a notification that went to one of the rooms."""
    return (
        "(SELECT min(r.type) FROM event_rooms AS r WHERE r.tenant = :tenant "
        f'AND r.room IN ({names("room", rooms)}) AND r."offset" = e."offset" AND r.inbox)'
    )
