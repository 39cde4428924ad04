"""Words for people: an event's data put into the template of its type, channel and reader's language.

A type without a template of its own uses that of `default`. A tenant's own wins over the hub's; when it does
not fit an event after all, the hub's is used and the log says so, because a delivery is worth more than its
wording. One of the hub's that fails is a `TemplateFailed`, which no waiting cures. What the sender did not
write is said in the reader's language. Knows no delivery states and no providers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import structlog
from babel import Locale

from hub.domain import sms
from hub.domain.delivery import Claim
from hub.domain.events import SEVERITIES, Event
from hub.domain.message import Message
from hub.domain.routing import IN_APP
from hub.services.embeds import Fields, as_text, embed, unmarked
from hub.services.formats import DEFAULT_LOCALE, locale_of, timezone_of, url_filter
from hub.services.letter import Letters
from hub.services.page import Chosen, Page, TemplateFailed
from hub.services.shipped import DEFAULT, DIGEST, TEMPLATES, Shipped
from hub.services.unsubscribe import EVERY_TYPE
from hub.services.wire import iso

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Words:
    """What one message says, before it has a reader. `text` is all there is where only text is shown."""

    title: str
    text: str
    html: str | None = None
    embed: Mapping[str, Any] | None = None


class Own(Protocol):
    """The templates of tenants."""

    def find(self, tenant: str, type: str, channel: str, locale: Locale) -> Chosen | None: ...


class Nobody:
    """No tenant has templates of its own."""

    def find(self, tenant: str, type: str, channel: str, locale: Locale) -> Chosen | None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What is the same in every message. `segments`: how long a text message may be."""

    brand: str = ""
    segments: int = 3


class Render:
    """`unsubscribe` makes the link by which a user switches a type off on a channel, where there is one."""

    def __init__(
        self,
        *,
        public_url: str | None = None,
        directory: Path = TEMPLATES,
        shipped: Shipped | None = None,
        own: Own | None = None,
        unsubscribe: Callable[[str, str, str, str], str | None] = lambda *_: None,
        style: Style | None = None,
    ) -> None:
        self._shipped = shipped or Shipped(public_url=public_url, directory=directory)
        self._own = own or Nobody()
        self._unsubscribe = unsubscribe
        self._style = style or Style()
        self._url = url_filter(public_url)
        self._letters = Letters(self._shipped, brand=self._style.brand)

    # -- in the app ----------------------------------------------------------------------------------
    def words(
        self, tenant: str, type: str, data: Mapping[str, Any], actor: str | None = None
    ) -> tuple[str | None, str | None]:
        """Title and message of an in-app notification, in English. Never fails: at worst the default's."""
        return self._in_app(tenant, type, data, actor, DEFAULT_LOCALE, None)

    def _in_app(
        self,
        tenant: str,
        type: str,
        data: Mapping[str, Any],
        actor: str | None,
        locale: Locale,
        timezone: str | None,
    ) -> tuple[str | None, str | None]:
        context = {**data, "data": data, "actor": actor, "locale": locale, "timezone": timezone_of(timezone)}
        for kind in (type, DEFAULT):
            for chosen in self._of_type(tenant, kind, IN_APP, locale):
                try:
                    return _title_and_message(chosen, context)
                except TemplateFailed as fault:
                    _say_unfit(chosen, tenant, type, IN_APP, fault)
        return None, None

    def in_app(
        self, event: Event, *, locale: str | None, timezone: str | None, only: Chosen | None = None
    ) -> tuple[str | None, str | None]:
        """The in-app words of an event; with `only` by that template, which may raise `TemplateFailed`."""
        reader = locale_of(locale)
        if only is None:
            return self._in_app(event.tenant, event.type, event.data, event.actor, reader, timezone)
        return _title_and_message(only, self._context([event], reader, timezone))

    # -- outside -------------------------------------------------------------------------------------
    def message(self, claim: Claim, events: Sequence[Event], now: datetime) -> Message:
        """What is sent for a delivery of these events (of several: one message of them all, oldest first).

        Raises `TemplateFailed`.
        """
        assert claim.address is not None
        found = {event.id: event for event in events}
        items = sorted(found.values(), key=lambda event: (event.created_at, event.offset))
        types = {event.type for event in items}
        alone = items[0] if len(items) == 1 else None
        type = types.pop() if len(types) == 1 else EVERY_TYPE
        unsubscribe = self._unsubscribe(claim.tenant, claim.user, claim.channel, type)
        words = self.say(
            items, claim.channel, locale=claim.locale, timezone=claim.timezone, unsubscribe=unsubscribe
        )
        return Message(
            id=claim.id,
            tenant=claim.tenant,
            user=claim.user,
            channel=claim.channel,
            address=claim.address,
            subject=words.title,
            text=words.text,
            html=words.html,
            at=now,
            type=alone.type if alone else "digest",
            severity=_worst(items),
            link=(self._url(alone.link) or None) if alone else None,
            embed=words.embed,
            unsubscribe=unsubscribe,
        )

    def say(
        self,
        items: Sequence[Event],
        channel: str,
        *,
        locale: str | None,
        timezone: str | None,
        unsubscribe: str | None = None,
        only: Chosen | None = None,
    ) -> Words:
        """The words of these events on a channel; with `only` by that template. Raises `TemplateFailed`."""
        reader = locale_of(locale)
        context = self._context(items, reader, timezone) | {"unsubscribe": unsubscribe}
        type, tenant = items[0].type if len(items) == 1 else DIGEST, items[0].tenant
        choices = [only] if only else self._choices(tenant, type, channel, reader)
        for chosen in choices:
            try:
                return self._by(channel, Page(chosen, context), items)
            except TemplateFailed as fault:
                if only or chosen.budget is None:
                    raise
                _say_unfit(chosen, tenant, type, channel, fault)
        raise TemplateFailed(type, f"there is no template for {channel}")

    def _by(self, channel: str, page: Page, items: Sequence[Event]) -> Words:
        match channel:
            case "email":
                return Words(*self._letters.of(page, self._url(page.context["link"]) or None))
            case "sms":
                text = page.block("text", "text").strip()
                return Words(page.context["title"] or "", sms.fit(text, self._style.segments))
            case "discord":
                return self._embed(page, items)
        return Words(page.line("title"), page.block("text", "message").strip())

    def _embed(self, page: Page, items: Sequence[Event]) -> Words:
        fields = Fields()
        page.context["field"] = fields
        shape = embed(
            lambda name: page.block("markdown", name, needed=name == "title"),
            fields,
            link=self._url(page.context["link"]),
            severity=_worst(items),
            at=items[-1].created_at,
        )
        return Words(unmarked(shape["title"]), as_text(shape), embed=shape)

    # -- which template, with what -------------------------------------------------------------------
    def _choices(self, tenant: str, type: str, channel: str, locale: Locale) -> Iterator[Chosen]:
        for kind in (type, DEFAULT):
            yield from self._of_type(tenant, kind, channel, locale)

    def _of_type(self, tenant: str, type: str, channel: str, locale: Locale) -> Iterator[Chosen]:
        """The tenant's own template of a type, then the hub's, as far as there are any."""
        own = self._own.find(tenant, type, channel, locale)
        if own is not None:
            yield own
        found = self._shipped.find(type, channel, locale)
        if found is not None:
            name = found.name
            yield Chosen(name, found.language, lambda mode: self._shipped.template(mode, name))

    def _context(self, items: Sequence[Event], locale: Locale, timezone: str | None) -> dict[str, Any]:
        """The data's fields by their own names; the hub's own words win over them."""
        zone = timezone_of(timezone)
        told = [self._told(item, locale, timezone) for item in items]
        alone = items[0] if len(items) == 1 else None
        data: Mapping[str, Any] = alone.data if alone else {}
        context: dict[str, Any] = {
            **data,
            "data": data,
            "type": alone.type if alone else "digest",
            "title": told[0][0] if alone else None,
            "message": told[0][1] if alone else None,
            "link": alone.link if alone else None,
            "severity": _worst(items),
            "actor": alone.actor if alone else None,
            "at": iso(items[-1].created_at),
            "locale": locale,
            "timezone": zone,
        }
        if alone is None:
            context["count"] = len(items)
            context["items"] = [
                {
                    "type": item.type,
                    "title": title or item.type,
                    "message": message,
                    "link": item.link,
                    "severity": item.severity,
                    "actor": item.actor,
                    "at": iso(item.created_at),
                    "data": item.data,
                }
                for item, (title, message) in zip(items, told, strict=True)
            ]
        return context

    def _told(self, event: Event, locale: Locale, timezone: str | None) -> tuple[str | None, str | None]:
        """An event's title and message for its reader: what its sender did not write is translated."""
        if locale.language == DEFAULT_LOCALE.language:
            return event.title, event.message
        title, message = self.words(event.tenant, event.type, event.data, event.actor)
        if (title, message) == (event.title, event.message):
            return self._in_app(event.tenant, event.type, event.data, event.actor, locale, timezone)
        return event.title, event.message


def _title_and_message(chosen: Chosen, context: dict[str, Any]) -> tuple[str | None, str | None]:
    page = Page(chosen, context)
    return page.line("title") or None, page.block("text", "message").strip() or None


def _say_unfit(chosen: Chosen, tenant: str, type: str, channel: str, fault: TemplateFailed) -> None:
    """A tenant's template has failed. Without what it said, which may quote the data."""
    log.warning(
        "a template was passed over",
        action="template.passed_over",
        tenant=tenant,
        type=type,
        channel=channel,
        template=chosen.name,
        error=fault.kind,
    )


def _worst(items: Sequence[Event]) -> str:
    return max((item.severity for item in items), key=lambda name: SEVERITIES.index(name))
