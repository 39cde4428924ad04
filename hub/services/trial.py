"""Trying a template before it is stored: it must parse, hold the blocks its channel needs, and say something
about the sample of its type.

Knows no tenant's rows and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from hub.domain.errors import ValidationFailed
from hub.domain.events import EventType
from hub.domain.routing import IN_APP
from hub.services.formats import locale_of
from hub.services.overrides import MODES, Overrides
from hub.services.page import Chosen, TemplateFailed
from hub.services.render import Render, Words
from hub.services.samples import events_of
from hub.services.sandbox import line_of
from hub.services.shipped import DIGEST

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


class Trial:
    def __init__(self, overrides: Overrides, render: Render) -> None:
        self._overrides = overrides
        self._render = render

    def checked(self, channel: str, source: str, locale: str | None) -> Chosen:
        """A source that parses and has its blocks. Raises `ValidationFailed`."""
        chosen = self._overrides.chosen("source", source, str(locale_of(locale)).replace("_", "-"))
        try:
            for mode in MODES:
                blocks = chosen.template(mode).blocks
        except TemplateError as fault:
            raise fault_of(fault.message or "cannot be read", line_of(fault)) from None
        except (RecursionError, MemoryError, SyntaxError, ValueError, AssertionError) as fault:
            raise fault_of(f"cannot be compiled: {type(fault).__name__}") from None
        needed, _ = BLOCKS[channel]
        missing = [name for name in needed if name not in blocks]
        if missing:
            raise fault_of(f"needs the blocks {', '.join(needed)}; there is no {', '.join(missing)}")
        return chosen

    def shown(
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
            raise fault_of(fault.reason, fault.line, field=field) from None

    def lacking(self, chosen: Chosen, tenant: str, kind: EventType, named: Named) -> list[str]:
        """What happens to it when an event says nothing: such events get the words that come with the hub."""
        if kind.name == DIGEST:
            return []
        try:
            self.shown(chosen, tenant, kind, named, {})
        except ValidationFailed as refused:
            return [f"without data: {fault['message']}" for fault in refused.errors]
        return []


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


def fault_of(message: str, line: int | None = None, *, field: str = "source") -> ValidationFailed:
    said = f"line {line}: {message}" if line else message
    return ValidationFailed(f"{field}: {said}", errors=[{"field": field, "message": said}])
