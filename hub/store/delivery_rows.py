"""Rows of `deliveries` as the other files of deliveries read them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import RowMapping

from hub.domain.delivery import Delivery, Status
from hub.store.suppressions import Address
from hub.store.tables import deliveries

D = deliveries.c
# Glued to '', the status is no bound of a range: PostgreSQL would rather walk all that is being sent, and all
# that was since its last vacuum, than look up the ids.
SENDING = D.status.concat("") == Status.SENDING


def delivery_of(row: RowMapping | dict[str, Any]) -> Delivery:
    """A row of `deliveries` as a noun."""
    return Delivery(
        id=row["id"],
        tenant=row["tenant"],
        event_id=row["event_id"],
        user=row["user"],
        channel=row["channel"],
        status=Status(row["status"]),
        attempts=row["attempts"],
        due_at=row["due_at"],
        reason=row["reason"],
        error=row["error"],
        provider=row["provider"],
        maybe_duplicate=row["maybe_duplicate"],
        updated_at=row["updated_at"],
    )


def is_push(row: RowMapping) -> bool:
    return bool(row["channel"] == "webpush")


def address_of(row: RowMapping) -> Address:
    return Address(row["tenant"], row["channel"], row["address"])


def bound_to(claims: Collection[tuple[str, int]]) -> dict[str, Any]:
    """What a statement about claims (id, fence) is bound to: `claims`, and `ids`, because SQLite looks for
    pairs in no index."""
    return {"ids": [id for id, _ in claims], "claims": list(claims)}
