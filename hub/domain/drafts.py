"""A draft: what a backend asks for, checked for shape but not yet for sense.

The doors build drafts from request bodies, whatever dialect those come in; `services.ingest` turns a
draft into an event and its deliveries. This file knows no JSON and no tenant's rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from hub.domain.geo import Near


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Where a person can be reached. None: not said, so what is stored stays; empty text: removed."""

    user: str
    email: str | None = None
    phone: str | None = None
    locale: str | None = None
    timezone: str | None = None
    roles: tuple[str, ...] | None = None
    discord_webhook: str | None = None


@dataclass(slots=True, kw_only=True)  # not frozen: that doubles the price of making one
class Draft:
    """One request to notify. `to` and `exclude` are room names (`user:42`); `channels` None: the type's own.

    `near`: whoever is there when it is sent, besides `to`.
    `collapse_key`: it replaces what went to the same rooms under the same key before.
    `inbox` False: realtime only (`POST /events`). `durable` False: not in the log, not replayed.
    """

    tenant: str
    type: str
    to: tuple[str, ...]
    contact: Contact | None = None
    near: Near | None = None
    title: str | None = None
    message: str | None = None
    link: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    severity: str | None = None
    channels: tuple[str, ...] | None = None
    send_at: datetime | None = None
    expires_at: datetime | None = None
    exclude: tuple[str, ...] = ()
    actor: str | None = None
    collapse_key: str | None = None
    inbox: bool = True
    durable: bool = True


class IdempotencyKey(NamedTuple):
    """What a sender calls its request, and a digest of the request's body."""

    key: str
    fingerprint: str
