"""Discord's messages: an embed as Discord takes it, cut to its limits, and several of them in one message.

Whatever a title or a name holds, nobody is mentioned, no field is unknown and no text too long. Lengths are
counted as Discord's strictest reader does, in UTF-16 units. Pure: knows no webhook.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hub.domain.message import Message

# discord.com/developers/docs/resources/message: embed limits, and `content`.
MAX_CONTENT, MAX_EMBEDS, MAX_TOTAL = 2000, 10, 6000
MAX_TITLE, MAX_DESCRIPTION, MAX_FIELDS = 256, 4096, 25
MAX_NAME, MAX_VALUE, MAX_FOOTER, MAX_AUTHOR = 256, 1024, 2048, 256
_NOTHING = "\u200b"  # a field may not be empty
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]+")
_COLORS = {"success": 0x00FF00, "warning": 0xFFA500, "error": 0xFF0000, "critical": 0xFF0000}
_NEUTRAL = 0x5865F2

Embed = dict[str, Any]


def single(message: Message) -> dict[str, Any]:
    """The body of a message of its own."""
    if message.embed is not None:
        return together([embed_of(message)])
    return _quiet({"content": cut(message.text.strip(), MAX_CONTENT) or _NOTHING})


def together(embeds: Sequence[Embed]) -> dict[str, Any]:
    """The body of a message of several embeds. They fit: see `fitting`."""
    return _quiet({"embeds": list(embeds)})


def fitting(embeds: Iterable[Embed]) -> int:
    """How many of the first embeds one message can hold."""
    count = total = 0
    for embed in embeds:
        total += _length(embed)
        if count == MAX_EMBEDS or (count and total > MAX_TOTAL):
            break
        count += 1
    return count


def embed_of(message: Message) -> Embed:
    """The message's embed within the limits; one made from its words when it has none."""
    given: Mapping[str, Any] = message.embed or {
        "title": message.subject,
        "description": message.text.strip(),
        "url": message.link,
        "color": _COLORS.get(message.severity, _NEUTRAL),
    }
    embed: Embed = {}
    if title := cut(given.get("title"), MAX_TITLE):
        embed["title"] = title
    if description := cut(given.get("description"), MAX_DESCRIPTION):
        embed["description"] = description
    if (url := str(given.get("url") or "")).startswith(("https://", "http://")):
        embed["url"] = url
    if isinstance(color := given.get("color"), int) and 0 <= color <= 0xFFFFFF:
        embed["color"] = color
    embed["timestamp"] = str(given.get("timestamp") or message.at.isoformat())
    if footer := cut(_inside(given, "footer", "text"), MAX_FOOTER):
        embed["footer"] = {"text": footer}
    if author := cut(_inside(given, "author", "name"), MAX_AUTHOR):
        embed["author"] = {"name": author}
    if fields := [_field(field) for field in list(given.get("fields") or ())[:MAX_FIELDS]]:
        embed["fields"] = fields
    _shrink(embed)
    if not _length(embed):
        embed["description"] = _NOTHING
    return embed


def cut(text: object, most: int) -> str:
    """`text` without control characters, at most `most` UTF-16 units of it."""
    clean = _UNPRINTABLE.sub(" ", "" if text is None else str(text)).strip()
    if _units(clean) <= most:
        return clean
    return clean.encode("utf-16-le")[: 2 * (most - 1)].decode("utf-16-le", "ignore") + "…"


def _field(field: Any) -> dict[str, Any]:
    given = field if isinstance(field, Mapping) else {}
    return {
        "name": cut(given.get("name"), MAX_NAME) or _NOTHING,
        "value": cut(given.get("value"), MAX_VALUE) or _NOTHING,
        "inline": bool(given.get("inline", False)),
    }


def _inside(given: Mapping[str, Any], name: str, part: str) -> object:
    inner = given.get(name)
    return inner.get(part) if isinstance(inner, Mapping) else inner


def _shrink(embed: Embed) -> None:
    """The whole within MAX_TOTAL: the longest text gives way first, then the last fields."""
    over = _length(embed) - MAX_TOTAL
    if over > 0 and (description := embed.get("description")):
        embed["description"] = cut(description, max(1, _units(description) - over))
    while _length(embed) > MAX_TOTAL and embed.get("fields"):
        embed["fields"] = embed["fields"][:-1]


def _length(embed: Embed) -> int:
    """What counts towards MAX_TOTAL."""
    texts = [embed.get("title"), embed.get("description"), embed.get("footer", {}).get("text")]
    texts.append(embed.get("author", {}).get("name"))
    texts += [field[part] for field in embed.get("fields", ()) for part in ("name", "value")]
    return sum(_units(text) for text in texts if text)


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _quiet(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "allowed_mentions": {"parse": []}}
