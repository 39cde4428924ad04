"""Event types as tenants have them: the registry's, and what each says instead, in every process soon.

SQL holds what tenants say; each process reads what is new every second, and at once when another says that
there is something, so a rule is in force everywhere within two seconds and finding a type costs a look-up.
While the database is away what is known stays in force. Everything that changes leaves a note. This file does
not know HTTP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hub.domain.errors import RulesUnknown, StateConflict, TypeUnknown
from hub.domain.rules import Said, Types, rules_of, sources_of
from hub.services.publish import Publish
from hub.services.watching import Newest
from hub.services.wire import iso
from hub.store.audit import Note
from hub.store.type_rules import Stored, TypeRuleRows

if TYPE_CHECKING:
    from hub.services.admin import By

ORDER = "types"  # what processes tell each other


class TypesService:
    """`most`: of how many types one tenant may speak."""

    def __init__(
        self,
        types: Types,
        rows: TypeRuleRows,
        publish: Publish,
        *,
        most: int,
        custom_types: bool,
        tenant: Callable[[str], Awaitable[None]],
        clock: Callable[[], datetime],
    ) -> None:
        self._types = types
        self._rows = rows
        self._most = most
        self._custom_types = custom_types
        self._require_tenant = tenant
        self._clock = clock
        self._said: dict[str, dict[str, Stored]] = {}
        self.news: Newest[Stored] = Newest(rows, self._put, publish, ORDER)

    # -- what there is -------------------------------------------------------------------------------
    async def every(self, tenant: str) -> list[dict[str, Any]]:
        """The registry's types in their order, then the tenant's own that it speaks of."""
        await self._require_tenant(tenant)
        known = self._types.registry.types
        own = sorted(name for name in self._said.get(tenant, ()) if name not in known)
        return [self._shape(tenant, name) for name in [*known, *own]]

    async def get(self, tenant: str, name: str) -> dict[str, Any]:
        """Raises `TypeUnknown`."""
        await self._require_tenant(tenant)
        return self._shape(tenant, self._name(name))

    # -- changing ------------------------------------------------------------------------------------
    async def put(self, by: By, tenant: str, name: str, said: Said) -> dict[str, Any]:
        """Put all that the tenant says of a type in the place of what it said before.

        Raises `TypeUnknown`, and `StateConflict` when it speaks of too many.
        """
        await self._require_tenant(tenant)
        name = self._name(name)
        note = self._note(by, tenant, "type.put", name, fields=sorted(said))
        stored = await self._rows.put(self._row(by, tenant, name, said), note=note, most=self._most)
        if stored is None:
            raise StateConflict(f"a tenant may have rules for {self._most} types")
        self.news.keep(stored)
        return self._shape(tenant, name)

    async def delete(self, by: By, tenant: str, name: str) -> None:
        """Back to what the registry says. Raises `RulesUnknown` when there is nothing to take back."""
        await self._require_tenant(tenant)
        name = self._types.as_shipped(name).name
        note = self._note(by, tenant, "type.delete", name)
        stored = await self._rows.put(self._row(by, tenant, name, None), note=note)
        if stored is None:
            raise RulesUnknown("this tenant has no rules of its own for this type")
        self.news.keep(stored)

    # -- parts ---------------------------------------------------------------------------------------
    def _put(self, stored: Stored) -> None:
        said = self._said.setdefault(stored.tenant, {})
        before = said.get(stored.type)
        if before is not None and before.version > stored.version:
            return
        said[stored.type] = stored
        if stored.said is None:
            del said[stored.type]
        self._types.say(stored.tenant, stored.type, stored.said)

    def _name(self, name: str) -> str:
        kind = self._types.as_shipped(name)
        if not kind.known and not self._custom_types:
            raise TypeUnknown(f"the type {name[:128]!r} is not registered")
        return kind.name

    def _shape(self, tenant: str, name: str) -> dict[str, Any]:
        kind, stored = self._types.as_shipped(name), self._said.get(tenant, {}).get(name)
        said = None if stored is None else dict(stored.said or {})
        return {
            "type": name,
            "wire": kind.wire,
            "aliases": list(kind.aliases),
            "registered": kind.known,
            "rules": rules_of(self._types.kind(tenant, name)),
            "default": rules_of(kind),
            "sources": sources_of(kind, said or {}),
            "overridden": stored is not None,
            "override": said,
            "updatedAt": stored and iso(stored.updated_at),
            "updatedBy": stored and stored.updated_by,
        }

    def _row(self, by: By, tenant: str, name: str, said: Said | None) -> Stored:
        return Stored(tenant=tenant, type=name, said=said, updated_at=self._clock(), updated_by=by.actor)

    def _note(self, by: By, tenant: str, action: str, name: str, **details: Any) -> Note:
        more: Mapping[str, Any] = details
        return Note(
            tenant=tenant,
            actor=by.actor,
            action=action,
            at=self._clock(),
            target=name,
            details=dict(more),
            request_id=by.request_id,
        )
