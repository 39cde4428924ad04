"""Discord's embeds: what an embed template's blocks come to.

A template names a title, and where it wants them a description, a color, a footer and fields, which it adds
one by one. Whatever the data holds is shown letter by letter. Limits are Discord's own where they decide what
is left out; the provider cuts the rest. Knows no webhooks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from jinja2 import Undefined

from hub.services.printing import markdown
from hub.services.wire import iso

MAX_FIELDS = 25
MAX_NAME, MAX_VALUE = 256, 1024
GOOD, BAD = 0x00FF00, 0xFF0000
_COLORS = {
    "good": GOOD,
    "bad": BAD,
    "success": GOOD,
    "error": BAD,
    "critical": BAD,
    "warning": 0xFFA500,
    "info": 0x3B5BDB,
}
_HEX = re.compile(r"#?([0-9a-fA-F]{6})")
_ESCAPE = re.compile(r"\\([\\*_~`|\[\]<>])")

Field = dict[str, Any]


class Fields:
    """Collects the fields of one embed. In templates: `{{ field(name, value, inline=true) }}`."""

    def __init__(self) -> None:
        self.all: list[Field] = []

    def __call__(self, name: object, value: object, inline: bool = False) -> str:
        """Add one; without a value, or when there are 25, it is left out. Prints nothing."""
        if isinstance(value, Undefined) or value is None or value == "" or len(self.all) == MAX_FIELDS:
            return ""
        shown = {"name": cut(markdown(name), MAX_NAME), "value": cut(markdown(value), MAX_VALUE)}
        self.all.append({**shown, "inline": bool(inline)})
        return ""


def color(text: str, severity: str) -> int:
    """The color a template names (good, bad, a severity, #rrggbb), or else that of the severity."""
    word = text.strip()
    found = _HEX.fullmatch(word)
    if found:
        return int(found[1], 16)
    return _COLORS.get(word) or _COLORS.get(severity) or _COLORS["info"]


def embed(
    block: Callable[[str], str], fields: Fields, *, link: str, severity: str, at: datetime
) -> dict[str, Any]:
    """The embed. `block` renders a block of the template, or nothing where there is none."""
    shape: dict[str, Any] = {"title": " ".join(block("title").split())}
    if description := block("description").strip():
        shape["description"] = description
    if link:
        shape["url"] = link
    shape["color"] = color(block("color"), severity)
    block("fields")
    if fields.all:
        shape["fields"] = fields.all
    if footer := block("footer").strip():
        shape["footer"] = {"text": footer}
    shape["timestamp"] = iso(at)
    return shape


def as_text(shape: dict[str, Any]) -> str:
    """The words of an embed, for where there are only words."""
    lines = [shape.get("description", "")]
    lines += [f"{field['name']}: {field['value']}" for field in shape.get("fields", ())]
    lines.append(shape.get("footer", {}).get("text", ""))
    return "\n".join(unmarked(line) for line in lines if line)


def unmarked(text: str) -> str:
    """Markdown's escapes taken back."""
    return _ESCAPE.sub(r"\1", text)


def cut(text: str, most: int) -> str:
    """At most `most` characters; a block of code stays closed, and no half of an escape is left behind."""
    if len(text) <= most:
        return text
    if text.endswith("\n```"):
        return text[: most - 5] + "…\n```"
    kept = text[: most - 1]
    return (kept[:-1] if (len(kept) - len(kept.rstrip("\\"))) % 2 else kept) + "…"
