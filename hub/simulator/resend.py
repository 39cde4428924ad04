"""Resend's `POST /emails` with idempotency keys, and its webhooks (signed as Svix does)."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime
from typing import Any

from hub.simulator import signing
from hub.simulator.twin import Ask, Callback, Refused, Reply, Taken, after

KEY = "re_the_simulators_key"
MAX_KEY = 256
_ADDRESS = re.compile(r"(?:[^<>@]*<)?[^<>@\s]+@[^<>@\s]+\.[^<>@\s]+>?")
_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")
_EVENTS: dict[str, tuple[str, ...]] = {
    "opened": ("email.sent", "email.delivered", "email.opened"),
    "bounced": ("email.sent", "email.bounced"),
    "complained": ("email.sent", "email.delivered", "email.complained"),
    "silent": (),
}


class Resend:
    """`webhook` is the URL that its webhook is configured with."""

    name = "resend"
    paths = ("/emails",)

    def __init__(self, webhook: str | None = None) -> None:
        self.webhook = webhook
        self._keys: dict[str, tuple[bytes, Taken]] = {}
        self._events = 0

    def take(self, ask: Ask, now: float) -> Taken:
        authorization = ask.headers.get("Authorization")
        if not authorization:
            raise _refused(401, "missing_api_key", "Missing API Key")
        if authorization != f"Bearer {KEY}":
            raise _refused(403, "invalid_api_key", "API key is invalid")
        key = ask.headers.get("Idempotency-Key", "")
        if len(key) > MAX_KEY:
            raise _refused(400, "invalid_idempotency_key", "The key is longer than 256 characters")
        if key in self._keys:
            body, before = self._keys[key]
            if body != ask.body:
                text = "Same idempotency key used with a different request payload"
                raise _refused(409, "invalid_idempotent_request", text)
            return Taken(
                reply=before.reply,
                to=before.to,
                message=before.message,
                deliveries=before.deliveries,
                id=before.id,
                again=True,
            )
        taken = self._take(ask)
        if key:
            self._keys[key] = ask.body, taken
        return taken

    def _take(self, ask: Ask) -> Taken:
        try:
            mail = ask.json()
        except ValueError:
            mail = None
        if not isinstance(mail, dict):
            raise _refused(422, "validation_error", "The request body must be JSON")
        for name in ("from", "to", "subject"):
            if not mail.get(name):
                raise _refused(422, "missing_required_field", f"Missing `{name}` field")
        if not mail.get("text") and not mail.get("html"):
            raise _refused(422, "validation_error", "Missing `html` or `text` field")
        to = mail["to"] if isinstance(mail["to"], list) else [mail["to"]]
        if len(to) > 50 or not all(_ADDRESS.fullmatch(str(one)) for one in (mail["from"], *to)):
            raise _refused(422, "validation_error", "Invalid `to` or `from` field")
        tags = mail.get("tags") or []
        if not all(_TAG.fullmatch(str(tag.get(part))) for tag in tags for part in ("name", "value")):
            raise _refused(422, "validation_error", "Tags should only contain ASCII letters, numbers, _ or -")
        named = {tag["name"]: tag["value"] for tag in tags}
        id = str(uuid.uuid4())
        shown = {name: mail.get(name) for name in ("subject", "from", "text", "html", "headers")}
        return Taken(
            reply=Reply(200, {"id": id}),
            to=str(to[0]),
            message={**shown, "tags": named},
            deliveries=tuple(named[name] for name in ("delivery",) if name in named),
            id=id,
            callback=self.webhook,
        )

    def fault(self, status: int, retry_after: float | None) -> Reply:
        name = "rate_limit_exceeded" if status == 429 else "application_error"
        return Reply(status, _error(status, name, "as the script says"), after(retry_after))

    def callbacks(self, taken: Taken, word: str, now: float) -> list[Callback]:
        if taken.callback is None:
            return []
        names = _EVENTS.get(word, ("email.sent", "email.delivered"))
        return [self.callback(taken, name, now) for name in names]

    def callback(self, taken: Taken, event: str, now: float) -> Callback:
        """A webhook that says `event` at `now`."""
        assert taken.callback is not None
        self._events += 1
        data: dict[str, Any] = {
            "email_id": taken.id,
            "to": [taken.to],
            "from": taken.message["from"],
            "subject": taken.message["subject"],
            "tags": taken.message["tags"],
        }
        if event == "email.bounced":
            data["bounce"] = {"type": "Permanent", "subType": "General", "message": "no such user"}
        said = {"type": event, "created_at": _iso(now), "data": data}
        return signed(taken.callback, f"msg_{self._events}", said, now)


def signed(url: str, id: str, said: dict[str, Any], now: float) -> Callback:
    body, timestamp = json.dumps(said).encode(), str(int(now))
    headers = {
        "Content-Type": "application/json",
        "svix-id": id,
        "svix-timestamp": timestamp,
        "svix-signature": signing.resend(id, timestamp, body),
    }
    return Callback(url, str(said["type"]), headers, body)


def _iso(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _error(status: int, name: str, text: str) -> dict[str, object]:
    return {"statusCode": status, "name": name, "message": text}


def _refused(status: int, name: str, text: str) -> Refused:
    return Refused(Reply(status, _error(status, name, text)))
