"""Discord's `Execute Webhook`: its limits, its rate limits, and webhooks that somebody has deleted."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import datetime
from typing import Any

from hub.simulator.twin import Ask, Callback, Refused, Reply, Taken, after

# What Discord's API documentation says of a message and of an embed.
MAX_CONTENT, MAX_EMBEDS, MAX_FIELDS, MAX_EMBED_TEXT = 2000, 10, 25, 6000
_LENGTHS = {"title": 256, "description": 4096}
_KNOWN = frozenset({"title", "description", "url", "color", "timestamp", "fields", "footer", "author"})
_UNKNOWN_WEBHOOK = {"message": "Unknown Webhook", "code": 10015}
RATE, RATE_SECONDS = 5, 2.0  # requests of one webhook in so many seconds


class Discord:
    name = "discord"
    paths = ("/api/webhooks/{webhook}/{token}", "/api/v10/webhooks/{webhook}/{token}")

    def __init__(self) -> None:
        self._sent = 0
        self._gone: set[str] = set()
        self._used: dict[str, list[float]] = defaultdict(list)

    def delete(self, webhook: str) -> None:
        """Somebody removes it in Discord's settings."""
        self._gone.add(webhook)

    def take(self, ask: Ask, now: float) -> Taken:
        webhook = ask.places["webhook"]
        if not webhook.isdigit() or webhook in self._gone:
            raise Refused(Reply(404, _UNKNOWN_WEBHOOK))
        used = [at for at in self._used[webhook] if at > now - RATE_SECONDS]
        if len(used) >= RATE:
            wait = round(used[0] + RATE_SECONDS - now, 3)
            raise Refused(Reply(429, _limited(wait), self._rate(webhook, used, now)))
        self._used[webhook] = [*used, now]
        rate = self._rate(webhook, self._used[webhook], now)
        try:
            message = ask.json()
        except ValueError:
            message = None
        if faults := _faults(message):
            shape = {"code": 50035, "message": "Invalid Form Body", "errors": faults}
            raise Refused(Reply(400, shape, rate))
        self._sent += 1
        id = str(1_300_000_000_000_000_000 + self._sent)
        waits = ask.query.get("wait") == "true"
        return Taken(
            reply=Reply(200 if waits else 204, {"id": id, "type": 0} if waits else None, rate),
            to=webhook,
            message=message,
            deliveries=tuple(filter(None, re.split(r",\s*", ask.headers.get("X-Hub-Delivery", "")))),
            id=id,
        )

    def _rate(self, webhook: str, used: list[float], now: float) -> dict[str, str]:
        reset = used[0] + RATE_SECONDS - now if used else RATE_SECONDS
        return {
            "X-RateLimit-Limit": str(RATE),
            "X-RateLimit-Remaining": str(max(0, RATE - len(used))),
            "X-RateLimit-Reset-After": f"{reset:.3f}",
            "X-RateLimit-Bucket": f"bucket-of-{webhook}",
        }

    def fault(self, status: int, retry_after: float | None) -> Reply:
        if status == 429:
            wait = 1.0 if retry_after is None else retry_after
            # The header is in whole seconds, the body is exact.
            return Reply(
                429, _limited(wait), {"Retry-After": str(-int(-wait // 1)), "X-RateLimit-Scope": "user"}
            )
        shape = _UNKNOWN_WEBHOOK if status == 404 else {"message": f"{status}", "code": 0}
        return Reply(status, shape, after(retry_after))

    def callbacks(self, taken: Taken, word: str, now: float) -> list[Callback]:
        return []


def _limited(wait: float) -> dict[str, object]:
    return {"message": "You are being rate limited.", "retry_after": wait, "global": False}


def _faults(message: Any) -> dict[str, str]:
    """What is wrong with a message, by field."""
    if not isinstance(message, dict):
        return {"": "not a JSON object"}
    content, embeds = message.get("content") or "", message.get("embeds") or []
    if not content and not embeds:
        return {"content": "Cannot send an empty message"}
    faults: dict[str, str] = {}
    if len(content) > MAX_CONTENT:
        faults["content"] = "Must be 2000 or fewer in length."
    if len(embeds) > MAX_EMBEDS:
        faults["embeds"] = "Must be 10 or fewer in length."
    for place, embed in enumerate(embeds):
        faults |= {f"embeds.{place}.{name}": text for name, text in _embed_faults(embed).items()}
    if sum(map(_length, embeds)) > MAX_EMBED_TEXT:
        faults["embeds"] = "Embed size exceeds maximum size of 6000"
    return faults


def _embed_faults(embed: Any) -> dict[str, str]:
    faults = dict.fromkeys(set(embed) - _KNOWN, "unknown")
    for name, most in _LENGTHS.items():
        if len(embed.get(name) or "") > most:
            faults[name] = f"Must be {most} or fewer in length."
    fields = embed.get("fields") or []
    if len(fields) > MAX_FIELDS:
        faults["fields"] = "Must be 25 or fewer in length."
    for field in fields:
        if not 1 <= len(field.get("name") or "") <= 256 or not 1 <= len(field.get("value") or "") <= 1024:
            faults["fields"] = "This field is required, name at most 256 and value at most 1024 in length."
    if not isinstance(embed.get("color", 0), int) or not 0 <= embed.get("color", 0) <= 0xFFFFFF:
        faults["color"] = "Not a color"
    if len((embed.get("footer") or {}).get("text") or "") > 2048:
        faults["footer"] = "Must be 2048 or fewer in length."
    if "url" in embed and not str(embed["url"]).startswith(("http://", "https://")):
        faults["url"] = "Scheme must be one of ('http', 'https')."
    if "timestamp" in embed:
        try:
            datetime.fromisoformat(str(embed["timestamp"]))
        except ValueError:
            faults["timestamp"] = "Not a timestamp"
    if not _length(embed):
        faults["description"] = "This field is required"
    return faults


def _length(embed: dict[str, Any]) -> int:
    """The characters that Discord counts towards its 6000."""
    texts = [embed.get("title"), embed.get("description"), (embed.get("footer") or {}).get("text")]
    texts.append((embed.get("author") or {}).get("name"))
    texts += [field.get(part) for field in embed.get("fields") or [] for part in ("name", "value")]
    return sum(len(text or "") for text in texts)
