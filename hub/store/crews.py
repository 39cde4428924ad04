"""Deliveries that leave together in one message: who leads, and who goes along.

Whoever is claimed first of a digest leads: what waits for the same digest, due or not, is claimed with it,
and `digest_of` of them all, the leader's too, names the leader. Once a provider was called they stay a crew
until they are over: a message that is tried again under its name holds what it held. Promises: of two that
are claimed at once one leads and the other gets nothing. Runs inside a transaction that somebody else has
begun, and does not know what a message looks like.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, case, or_, select, update

from hub.domain.delivery import CLAIMABLE, Status
from hub.store.tables import deliveries

D = deliveries.c
MOST = 200  # deliveries in one message; what is more goes in the next
# What a worker is given of a delivery that it has claimed.
CLAIMED = (
    *(D.id, D.tenant, D.user, D.channel, D.address, D.fence, D.attempts, D.past_attempts, D.past_fence),
    *(D.maybe_duplicate, D.unless_seen, D.request),
)
# What claiming changes in a delivery.
CLAIMING = {
    "status": Status.SENDING,
    "fence": D.fence + 1,
    "lease_until": bindparam("lease_until"),
    "call_started": None,
    "maybe_duplicate": or_(D.maybe_duplicate, D.status == Status.UNKNOWN),
    "updated_at": bindparam("now"),
}
_FRESH = (Status.PLANNED, Status.QUEUED)
_ASKED = (
    select(D.id, D.tenant, D.user, D.channel, D.digest, D.digest_of)
    .where(
        D.id.in_(bindparam("ids", expanding=True)),
        D.digest.is_not(None),
        D.status.in_(CLAIMABLE),
        D.due_at <= bindparam("now"),
    )
    .order_by(D.tenant, D.user, D.channel, D.digest, D.id)  # nobody waits for another in a circle
)
_CHOSEN = (
    select(D.id)
    .where(
        D.tenant == bindparam("tenant"),
        D.user == bindparam("user"),
        D.channel == bindparam("channel"),
        D.digest == bindparam("digest"),
        D.digest_of.is_(None),
        D.status.in_(_FRESH),
    )
    .order_by(case((D.id == bindparam("asked"), 0), else_=1), D.id)
    .limit(MOST)
)
_NEW_CREW = (
    select(D.id)
    .where(D.id.in_(_CHOSEN.scalar_subquery()), D.digest_of.is_(None), D.status.in_(_FRESH))
    .order_by(D.id)
    .with_for_update()
)
_OLD_CREW = (
    select(D.id)
    .where(D.digest_of == bindparam("leader"), D.status.in_(CLAIMABLE), D.due_at <= bindparam("now"))
    .order_by(D.id)
    .with_for_update()
)
_TAKE = (
    update(deliveries)
    .where(D.id.in_(bindparam("crew", expanding=True)))
    .values(**CLAIMING, digest_of=bindparam("leader"))
    .returning(*CLAIMED)
)


def take(
    connection: Connection, ids: Collection[str], times: Mapping[str, datetime]
) -> dict[str, list[RowMapping]]:
    """The crews of those of `ids` that are due and wait for a digest, by the id that was asked for; the
    leader's row first. `times`: `now` and `lease_until`."""
    asked = (connection.execute(_ASKED, {"ids": list(ids), "now": times["now"]})).mappings().all()
    taken: dict[str, list[RowMapping]] = {}
    for one in asked:
        if one["digest_of"] is None:
            place = {name: one[name] for name in ("tenant", "user", "channel", "digest")}
            found = connection.execute(_NEW_CREW, {**place, "asked": one["id"]})
        else:
            found = connection.execute(_OLD_CREW, {"leader": one["digest_of"], "now": times["now"]})
        crew: Sequence[str] = found.scalars().all()
        if one["id"] not in crew:
            continue  # another one leads it already
        leader = one["digest_of"] if one["digest_of"] in crew else one["id"]
        rows = (connection.execute(_TAKE, {**times, "crew": crew, "leader": leader})).mappings().all()
        taken[one["id"]] = sorted(rows, key=lambda row: (row["id"] != leader, row["id"]))
    return taken


def members_of(leaders: Sequence[str], *conditions: Any) -> Any:
    """A condition: the others in the crews of these leaders."""
    return (D.digest_of.in_(leaders)) & (D.id.not_in(leaders)) & or_(*conditions)
