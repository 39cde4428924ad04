"""Tenants' own templates: what there is, putting one in force, taking it back, and looking before doing so.

A template is tried before it is stored. Everything that changes leaves a note. This file does not know HTTP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub.domain.errors import StateConflict, TemplateUnknown, TypeUnknown, ValidationFailed
from hub.domain.events import CHANNELS, EventType, Registry
from hub.domain.routing import IN_APP
from hub.services.admin import By
from hub.services.formats import locale_of
from hub.services.overrides import Overrides
from hub.services.render import Render
from hub.services.samples import data_of
from hub.services.shipped import DEFAULT, DIGEST, Shipped
from hub.services.trial import BLOCKS, Named, Trial, fault_of
from hub.services.wire import iso
from hub.store.audit import Note
from hub.store.templates import Stored, TemplateRows


@dataclass(frozen=True, slots=True)
class Bound:
    """`size`: of one source, in bytes; `count`: how many templates one tenant may have."""

    size: int = 32 << 10
    count: int = 200


class TemplatesService:
    def __init__(
        self,
        rows: TemplateRows,
        overrides: Overrides,
        shipped: Shipped,
        render: Render,
        registry: Registry,
        *,
        bound: Bound,
        custom_types: bool,
        tenant: Callable[[str], Awaitable[None]],
        clock: Callable[[], datetime],
    ) -> None:
        self._rows = rows
        self._overrides = overrides
        self._shipped = shipped
        self._trial = Trial(overrides, render)
        self._registry = registry
        self._bound = bound
        self._custom_types = custom_types
        self._require_tenant = tenant
        self._clock = clock

    # -- what there is -------------------------------------------------------------------------------
    async def every(self, tenant: str) -> list[dict[str, Any]]:
        """A row for each type and channel: the languages it comes in, and what the tenant has put there."""
        await self._require_tenant(tenant)
        own: dict[tuple[str, str], list[Stored]] = {}
        for (type, channel, _), stored in sorted(self._overrides.of(tenant).items()):
            own.setdefault((type, channel), []).append(stored)
        named = [*self._registry.types, DEFAULT, DIGEST]
        custom = sorted({type for type, _ in own} - {*named})
        return [
            {
                "type": type,
                "channel": channel,
                "locales": self._locales(type, channel),
                "overridden": (type, channel) in own,
                "overrides": [_override(stored) for stored in own.get((type, channel), ())],
            }
            for type in [*named, *custom]
            for channel in CHANNELS
            if not (type == DIGEST and channel == IN_APP)
        ]

    async def get(self, tenant: str, named: Named) -> dict[str, Any]:
        """The source in force for a reader of that language, and the one that comes with the hub."""
        await self._require_tenant(tenant)
        kind = self._kind(named)
        return self._shape(tenant, kind, named)

    # -- changing ------------------------------------------------------------------------------------
    async def put(
        self, by: By, tenant: str, named: Named, source: str, data: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Put a source in force. Raises `ValidationFailed` with its faults, `StateConflict`."""
        await self._require_tenant(tenant)
        kind = self._kind(named)
        size = len(source.encode())
        if size > self._bound.size:
            raise fault_of(f"is larger than {self._bound.size} bytes")
        if not source.strip():
            raise fault_of("is empty; to take a template back, delete it")
        chosen = self._trial.checked(named.channel, source, named.locale)
        if data is not None or data_of(kind.name) is not None or kind.name == DIGEST:
            self._trial.shown(chosen, tenant, kind, named, data)
        warnings = self._trial.lacking(chosen, tenant, kind, named)
        note = self._note(by, tenant, "template.put", kind.name, named, bytes=size)
        row = self._row(by, tenant, kind, named, source)
        stored = await self._rows.put(row, note=note, most=self._bound.count)
        if stored is None:
            raise StateConflict(f"a tenant may have {self._bound.count} templates of its own")
        self._overrides.news.keep(stored)
        return self._shape(tenant, kind, named) | {"warnings": warnings}

    async def delete(self, by: By, tenant: str, named: Named) -> None:
        """Back to what comes with the hub. Raises `TemplateUnknown` when there is nothing to take back."""
        await self._require_tenant(tenant)
        kind = self._kind(named)
        note = self._note(by, tenant, "template.delete", kind.name, named)
        stored = await self._rows.put(self._row(by, tenant, kind, named, ""), note=note)
        if stored is None:
            raise TemplateUnknown("this tenant has no template of its own there")
        self._overrides.news.keep(stored)

    async def preview(
        self,
        tenant: str,
        named: Named,
        *,
        timezone: str | None,
        data: Mapping[str, Any] | None,
        source: str | None,
    ) -> dict[str, Any]:
        """What a reader would get; nothing is stored. Raises `ValidationFailed`."""
        await self._require_tenant(tenant)
        kind = self._kind(named)
        chosen = None
        if source is not None:
            if len(source.encode()) > self._bound.size:
                raise fault_of(f"is larger than {self._bound.size} bytes")
            chosen = self._trial.checked(named.channel, source, named.locale)
        return self._trial.shown(chosen, tenant, kind, named, data, timezone)

    # -- parts ---------------------------------------------------------------------------------------
    def _kind(self, named: Named) -> EventType:
        """The type that is meant. Raises `TypeUnknown`, `ValidationFailed`."""
        if named.locale is not None and locale_of(named.locale).language != _language(named.locale):
            raise ValidationFailed(errors=[{"field": "locale", "message": "is not a language that is known"}])
        if named.type in (DEFAULT, DIGEST):
            if (named.type, named.channel) == (DIGEST, IN_APP):
                raise ValidationFailed(errors=[{"field": "channel", "message": "has no digests"}])
            return EventType(name=named.type, wire=named.type)
        found = self._registry.find(named.type)
        if found is None and not self._custom_types:
            raise TypeUnknown(f"the type {named.type[:128]!r} is not registered")
        return found or self._registry.custom(named.type)

    def _locales(self, type: str, channel: str) -> list[str]:
        kind = type if self._shipped.has(type, channel) else DEFAULT
        return ["en", *self._shipped.languages(kind, channel)]

    def _shape(self, tenant: str, kind: EventType, named: Named) -> dict[str, Any]:
        locale = locale_of(named.locale)
        stored = self._overrides.stored(tenant, kind.name, named.channel, locale)
        default = self._shipped.find(kind.name, named.channel, locale)
        if stored is None and default is None:
            stored = self._overrides.stored(tenant, DEFAULT, named.channel, locale)
        default = default or self._shipped.find(DEFAULT, named.channel, locale)
        assert default is not None
        needed, optional = BLOCKS[named.channel]
        return {
            "type": kind.name,
            "channel": named.channel,
            "locale": named.locale,
            "source": stored.source if stored else self._shipped.source(default.name),
            "default": self._shipped.source(default.name),
            "defaultName": default.name,
            "overridden": stored is not None,
            "override": _override(stored) if stored else None,
            "blocks": {"needed": list(needed), "optional": list(optional)},
        }

    def _row(self, by: By, tenant: str, kind: EventType, named: Named, source: str) -> Stored:
        return Stored(
            tenant=tenant,
            type=kind.name,
            channel=named.channel,
            locale=_tag(named.locale),
            source=source,
            updated_at=self._clock(),
            updated_by=by.actor,
        )

    def _note(self, by: By, tenant: str, action: str, type: str, named: Named, **details: Any) -> Note:
        return Note(
            tenant=tenant,
            actor=by.actor,
            action=action,
            at=self._clock(),
            target=f"{type}/{named.channel}",
            details={"locale": named.locale, **details},
            request_id=by.request_id,
        )


def _tag(locale: str | None) -> str:
    """The name under which a template for a language stands: as readers' languages are looked up."""
    return str(locale_of(locale)).replace("_", "-") if locale else ""


def _language(locale: str) -> str:
    return locale.replace("_", "-").partition("-")[0].lower()


def _override(stored: Stored) -> dict[str, Any]:
    return {
        "locale": stored.locale or None,
        "updatedAt": iso(stored.updated_at),
        "updatedBy": stored.updated_by,
    }
