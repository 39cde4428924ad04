"""Words for people: an event's data put into the template of its type and channel.

Templates are `<type>/<channel>[.<locale>].j2`, made of blocks; a type without its own uses `default`. A
template may ask whether something is there; printing what is not there is an error, as is anything else
that goes wrong in one, and the error says where. HTML is escaped, plain text is not. Templates run in a
sandbox. Knows no delivery states and no providers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from babel import Locale
from css_inline import CSSInliner, InlineError
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from hub.domain.events import Event, EventType
from hub.domain.routing import IN_APP
from hub.services.formats import DEFAULT_LOCALE, day, locale_of, money, timezone_of, url_filter

TEMPLATES = Path(__file__).parents[1] / "templates"
DEFAULT = "default"
_MANY_BLANK_LINES = re.compile(r"\n{3,}")


class TemplateFailed(Exception):
    """A template and its data do not fit. Trying again cannot help."""


class Missing(StrictUndefined):
    """What the data does not hold: false when asked, an error when printed."""

    __slots__ = ()

    def __bool__(self) -> bool:  # type: ignore[override]  # the parent's never returns
        return False


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail's words. `html` is a whole page, its styles in its elements."""

    subject: str
    text: str
    html: str


class Render:
    """`public_url` is put before links that are paths."""

    def __init__(self, *, public_url: str | None = None, directory: Path = TEMPLATES) -> None:
        self._plain = _environment(directory, public_url, escape=False)
        self._html = _environment(directory, public_url, escape=True)
        self._names = frozenset(self._plain.list_templates())
        self._inliner = CSSInliner(load_remote_stylesheets=False, keep_style_tags=False)
        self._find = lru_cache(maxsize=1024)(self._look_up)

    def words(self, kind: EventType, data: Mapping[str, Any]) -> tuple[str | None, str | None]:
        """Title and message of an in-app notification, in English. Never fails: at worst the default's."""
        context = _context(data, DEFAULT_LOCALE, None)
        for type_name in (kind.name, DEFAULT):
            template = self._find(type_name, IN_APP, DEFAULT_LOCALE)
            try:
                title = self._block(self._plain, template, "title", context)
                message = self._block(self._plain, template, "message", context)
            except TemplateFailed:
                continue
            return title.strip() or None, message.strip() or None
        return None, None

    def mail(self, event: Event, *, locale: str | None, timezone: str | None) -> Rendered:
        """The mail of an event for a reader of `locale` in `timezone`. Raises `TemplateFailed`."""
        reader = locale_of(locale)
        template = self._find(event.type, "email", reader)
        context = _context(event.data, reader, timezone) | {
            "title": event.title,
            "message": event.message,
            "link": event.link,
            "type": event.type,
        }
        subject = " ".join(self._block(self._plain, template, "subject", context).split())
        text = self._block(self._plain, template, "text", context).strip()
        html = self._block(self._html, template, "html", context).strip()
        frame = context | {"subject": subject, "body": Markup(html)}  # noqa: S704  (escaped when rendered)
        page = self._whole(self._html, "_layouts/email.html.j2", frame)
        letter = self._whole(self._plain, "_layouts/email.txt.j2", context | {"body": text})
        try:
            page = self._inliner.inline(page)
        except InlineError as error:
            raise TemplateFailed(f"{template}: {error}") from error
        return Rendered(subject, _MANY_BLANK_LINES.sub("\n\n", letter).strip() + "\n", page)

    # -- parts ---------------------------------------------------------------------------------------
    def _look_up(self, type_name: str, channel: str, locale: Locale) -> str:
        """The name of the template: the type's own before the default's, the nearest locale first."""
        tag = str(locale).replace("_", "-")
        for directory in (type_name, DEFAULT):
            for ending in (f".{tag}", f".{locale.language}", ""):
                name = f"{directory}/{channel}{ending}.j2"
                if name in self._names:
                    return name
        raise TemplateFailed(f"there is no template for {channel}")

    def _block(self, environment: Environment, name: str, block: str, context: dict[str, Any]) -> str:
        try:
            template = environment.get_template(name)
            return "".join(template.blocks[block](template.new_context(context)))
        except KeyError as error:
            raise TemplateFailed(f"{name}: no block {error}") from error
        except Exception as error:  # whatever a template does with the data it is given
            raise TemplateFailed(f"{name}: {error}") from error

    def _whole(self, environment: Environment, name: str, context: dict[str, Any]) -> str:
        try:
            return environment.get_template(name).render(context)
        except Exception as error:
            raise TemplateFailed(f"{name}: {error}") from error


def _environment(directory: Path, public_url: str | None, *, escape: bool) -> Environment:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(directory),
        undefined=Missing,
        autoescape=escape,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"money": money, "date": day, "url": url_filter(public_url)}
    return environment


def _context(data: Mapping[str, Any], locale: Locale, timezone: str | None) -> dict[str, Any]:
    """The data's fields by their own names; the hub's own words win over them."""
    return {
        **data,
        "data": data,
        "locale": locale,
        "timezone": timezone_of(timezone),
    }
