"""Tenants' own templates: what there is, putting one in force, taking it back, and looking before doing so.

A template is tried before it is stored: it must parse, hold the blocks its channel needs, and say something
about the sample of its type. Everything that changes leaves a note. This file does not know HTTP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import TemplateError

from hub.domain.errors import StateConflict, TemplateUnknown, TypeUnknown, ValidationFailed
from hub.domain.events import CHANNELS, EventType, Registry
from hub.domain.routing import IN_APP
from hub.services.admin import By
from hub.services.formats import locale_of
from hub.services.overrides import MODES, Overrides
from hub.services.page import Chosen, TemplateFailed
from hub.services.render import Render, Words
from hub.services.samples import data_of, events_of
from hub.services.sandbox import line_of
from hub.services.shipped import DEFAULT, DIGEST, Shipped
from hub.services.wire import iso
from hub.store.audit import Note
from hub.store.templates import Stored, TemplateRows

# The blocks of a channel, those it cannot do without first.
BLOCKS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    IN_APP: (("title", "message"), ()),
    "email": (("subject", "html", "text"), ()),
    "sms": (("text",), ()),
    "discord": (("title",), ("description", "color", "fields", "footer")),
    "webpush": (("title", "message"), ()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Which template is meant. `locale` None: the one for every language."""

    type: str
    channel: str
    locale: str | None = None


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
        self._render = render
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
            raise _fault(f"is larger than {self._bound.size} bytes")
        if not source.strip():
            raise _fault("is empty; to take a template back, delete it")
        chosen = self._checked(named.channel, source, named.locale)
        if data is not None or data_of(kind.name) is not None or kind.name == DIGEST:
            self._try(chosen, tenant, kind, named, data)
        warnings = self._lacking(chosen, tenant, kind, named)
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
                raise _fault(f"is larger than {self._bound.size} bytes")
            chosen = self._checked(named.channel, source, named.locale)
        return self._try(chosen, tenant, kind, named, data, timezone)

    # -- trying --------------------------------------------------------------------------------------
    def _checked(self, channel: str, source: str, locale: str | None) -> Chosen:
        """A source that parses and has its blocks. Raises `ValidationFailed`."""
        chosen = self._overrides.chosen("source", source, str(locale_of(locale)).replace("_", "-"))
        try:
            for mode in MODES:
                blocks = chosen.template(mode).blocks
        except TemplateError as fault:
            raise _fault(fault.message or "cannot be read", line_of(fault)) from None
        except (RecursionError, MemoryError, SyntaxError, ValueError, AssertionError) as fault:
            raise _fault(f"cannot be compiled: {type(fault).__name__}") from None
        needed, _ = BLOCKS[channel]
        missing = [name for name in needed if name not in blocks]
        if missing:
            raise _fault(f"needs the blocks {', '.join(needed)}; there is no {', '.join(missing)}")
        return chosen

    def _try(
        self,
        chosen: Chosen | None,
        tenant: str,
        kind: EventType,
        named: Named,
        data: Mapping[str, Any] | None,
        timezone: str | None = None,
    ) -> dict[str, Any]:
        """What it says. Raises `ValidationFailed` where it does not fit the data."""
        field = "data" if chosen is None else "source"
        events = events_of(tenant, kind, self._render.words, data)
        for_whom: dict[str, str | None] = {"locale": named.locale, "timezone": timezone}
        try:
            if named.channel == IN_APP:
                title, message = self._render.in_app(events[0], only=chosen, **for_whom)
                return _shown(Words(title or "", message or ""), named.channel)
            return _shown(self._render.say(events, named.channel, only=chosen, **for_whom), named.channel)
        except TemplateFailed as fault:
            raise _fault(fault.reason, fault.line, field=field) from None

    def _lacking(self, chosen: Chosen, tenant: str, kind: EventType, named: Named) -> list[str]:
        """What happens to it when an event says nothing: such events get the words that come with the hub."""
        if kind.name == DIGEST:
            return []
        try:
            self._try(chosen, tenant, kind, named, {})
        except ValidationFailed as refused:
            return [f"without data: {fault['message']}" for fault in refused.errors]
        return []

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


def _shown(words: Words, channel: str) -> dict[str, Any]:
    """The same six fields for every channel; those that it does not show are null."""
    mail, embed, text = channel == "email", channel == "discord", channel in ("email", "sms")
    return {
        "subject": words.title if mail else None,
        "text": words.text if text else None,
        "html": words.html,
        "embed": words.embed,
        "title": None if text else words.title,
        "message": None if text or embed else words.text,
    }


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


def _fault(message: str, line: int | None = None, *, field: str = "source") -> ValidationFailed:
    said = f"line {line}: {message}" if line else message
    return ValidationFailed(f"{field}: {said}", errors=[{"field": field, "message": said}])
