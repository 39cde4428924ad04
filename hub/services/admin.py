"""What admins change: tokens, connections, dead letters, keys, tenants, and words to everybody.

Everything here leaves a note of who did it: in the transaction of the change where the change is one in SQL,
before it where it is not. Who may do what is decided at the door; the tenant that is named here is the one
it happens in. This file does not know HTTP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from hub.domain.delivery import DeliveryUpdate, Status
from hub.domain.drafts import Draft, IdempotencyKey
from hub.domain.errors import KeyUnknown
from hub.services.disconnect import Disconnect
from hub.services.ingest import Accepted, Ingest
from hub.services.reports import delivery_shape
from hub.services.revocations import Revocations
from hub.services.wire import iso
from hub.store.audit import Audit, Note
from hub.store.dead import DeadLetters
from hub.store.keys import ApiKeys, KeyEntry
from hub.store.tenants import TenantEntry, Tenants


@dataclass(frozen=True, slots=True)
class By:
    """Who asks (`user:1`, `key:01J...`), and the id of the request."""

    actor: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminStores:
    audit: Audit
    dead: DeadLetters
    keys: ApiKeys
    tenants: Tenants


class AdminService:
    """`hand_out` tells the queue of (delivery id, channel), `announce` the watchers of a delivery."""

    def __init__(
        self,
        stores: AdminStores,
        *,
        revocations: Revocations,
        disconnect: Disconnect,
        ingest: Ingest,
        announce: Callable[[Sequence[DeliveryUpdate]], None],
        hand_out: Callable[[Sequence[tuple[str, str]]], None],
        tenant: Callable[[str], Awaitable[None]],
        clock: Callable[[], datetime],
    ) -> None:
        self._stores = stores
        self._revocations = revocations
        self._disconnect = disconnect
        self._ingest = ingest
        self._announce = announce
        self._hand_out = hand_out
        self._require_tenant = tenant
        self._clock = clock

    # -- tokens and connections ----------------------------------------------------------------------
    async def revoke(
        self, by: By, tenant: str, kind: str, value: str, before: datetime | None
    ) -> dict[str, Any]:
        """Call tokens back. `before` None: those issued up to now. `{issuedBefore, expiresAt}`."""
        await self._require_tenant(tenant)
        before = before or self._clock()
        note = self._note(by, tenant, "token.revoke", f"{kind}:{value}".rstrip(":"), issuedBefore=iso(before))
        expires_at = await self._revocations.revoke(tenant, kind, value, before, note)
        return {"issuedBefore": iso(before), "expiresAt": iso(expires_at)}

    async def disconnect(self, by: By, tenant: str, conn_id: str) -> None:
        """End a connection, in whatever process it is. Raises `ConnectionUnknown` or `Unavailable`."""
        await self._stores.audit.write(self._note(by, tenant, "connection.disconnect", conn_id))
        await self._disconnect.end(tenant, conn_id)

    # -- deliveries and notifications ----------------------------------------------------------------
    async def retry(self, by: By, tenant: str, id: str) -> dict[str, Any]:
        """Try a dead delivery again. Raises `DeliveryUnknown` or `StateConflict`."""
        note = self._note(by, tenant, "delivery.retry", id)
        delivery = await self._stores.dead.retry(tenant, id, now=self._clock(), note=note)
        self._announce([delivery.update])
        if delivery.status is Status.PLANNED:
            self._hand_out([(delivery.id, delivery.channel)])
        return delivery_shape(delivery)

    async def broadcast(self, by: By, draft: Draft, key: IdempotencyKey | None) -> Accepted:
        """Notify everybody of a tenant or a role. Raises what `Ingest.accept` raises."""
        await self._require_tenant(draft.tenant)
        note = self._note(by, draft.tenant, "notification.broadcast", " ".join(draft.to), type=draft.type)
        await self._stores.audit.write(note)
        return await self._ingest.accept(replace(draft, actor=draft.actor or by.actor), key)

    # -- keys and tenants ----------------------------------------------------------------------------
    async def create_key(
        self, by: By, tenant: str | None, scopes: Collection[str], name: str | None
    ) -> dict[str, Any]:
        """A new key with its `secret`, which is told this once. `tenant` None: of the platform."""
        if tenant is not None:
            await self._require_tenant(tenant)
        now = self._clock()
        note = self._note(by, tenant, "key.create", None, scopes=sorted(scopes), name=name)
        key, secret = await self._stores.keys.create(tenant, scopes, name, now=now, note=note)
        entry = KeyEntry(key, name, secret[:12], now, None)
        return key_shape(entry) | {"secret": secret}

    async def keys(self, tenant: str | None) -> list[dict[str, Any]]:
        """All keys of a tenant or of the platform, revoked ones too, oldest first."""
        return [key_shape(entry) for entry in await self._stores.keys.list(tenant)]

    async def revoke_key(self, by: By, tenant: str | None, id: str) -> None:
        """End a key. Raises `KeyUnknown` when there is none that has not ended."""
        note = self._note(by, tenant, "key.revoke", id)
        if not await self._stores.keys.revoke(tenant, id, now=self._clock(), note=note):
            raise KeyUnknown("no such API key, or it was revoked already")

    async def create_tenant(self, by: By, id: str) -> tuple[dict[str, Any], bool]:
        """The tenant, and whether it is new. Doing it twice is no fault."""
        note = self._note(by, None, "tenant.create", id)
        entry, is_new = await self._stores.tenants.create(id, now=self._clock(), note=note)
        return tenant_shape(entry), is_new

    async def keep_for(self, by: By, id: str, days: int | None) -> dict[str, Any]:
        """Keep a tenant's log for so many days; None: as the installation does. Raises `TenantUnknown`."""
        note = self._note(by, None, "tenant.retention", id, retentionDays=days or "default")
        return tenant_shape(await self._stores.tenants.keep_for(id, days, note=note))

    async def tenants(self, *, limit: int, after: str) -> list[dict[str, Any]]:
        return [tenant_shape(entry) for entry in await self._stores.tenants.page(limit=limit, after=after)]

    def _note(self, by: By, tenant: str | None, action: str, target: str | None, **details: Any) -> Note:
        return Note(
            tenant=tenant,
            actor=by.actor,
            action=action,
            at=self._clock(),
            target=target[:300] if target else None,
            details={name: value for name, value in details.items() if value is not None},
            request_id=by.request_id,
        )


def key_shape(entry: KeyEntry) -> dict[str, Any]:
    """A key as REST shows it. `prefix` is the beginning of its secret."""
    return {
        "id": entry.key.id,
        "tenantId": entry.key.tenant,
        "name": entry.name,
        "scopes": sorted(entry.key.scopes),
        "prefix": entry.shown,
        "createdAt": iso(entry.created_at),
        "revokedAt": iso(entry.revoked_at),
    }


def tenant_shape(entry: TenantEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "epoch": entry.epoch,
        "events": entry.events,
        "createdAt": iso(entry.created_at),
        "retentionDays": entry.retention_days,
    }
