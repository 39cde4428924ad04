"""SendGrid's `POST /v3/mail/send` for one mail to one person, and its Event Webhook."""

from __future__ import annotations

import json
import re
from typing import Any

from hub.simulator import signing
from hub.simulator.twin import Ask, Callback, Refused, Reply, Taken, after

KEY = "SG.the-simulators.key"
MAX_CUSTOM_ARGS = 10_000  # bytes
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
# Headers that the API keeps to itself.
_RESERVED = frozenset(
    {
        *("x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding"),
        *("to", "from", "subject", "reply-to", "cc", "bcc"),
    }
)
_EVENTS: dict[str, tuple[str, ...]] = {
    "opened": ("processed", "delivered", "open"),
    "bounced": ("processed", "bounce"),
    "complained": ("processed", "delivered", "spamreport"),
    "silent": (),
}


class SendGrid:
    """`webhook` is the URL that its Event Webhook is configured with."""

    name = "sendgrid"
    paths = ("/v3/mail/send",)

    def __init__(self, webhook: str | None = None) -> None:
        self.webhook = webhook
        self._sent = 0
        self._events = 0

    def take(self, ask: Ask, now: float) -> Taken:
        if ask.headers.get("Authorization") != f"Bearer {KEY}":
            raise _refused(401, None, "The provided authorization grant is invalid, expired, or revoked")
        if not ask.headers.get("Content-Type", "").startswith("application/json"):
            raise _refused(415, None, "Content-Type must be application/json")
        try:
            mail = ask.json()
        except ValueError:
            mail = None
        if not isinstance(mail, dict):
            raise _refused(400, None, "Bad Request")
        person = _first(mail, "personalizations")
        to = _first(person, "to", "personalizations.0.to").get("email")
        if not isinstance(to, str) or not _ADDRESS.fullmatch(to):
            raise _refused(400, "personalizations.0.to.0.email", "Does not contain a valid address.")
        sender = mail.get("from")
        if not isinstance(sender, dict) or not _ADDRESS.fullmatch(str(sender.get("email"))):
            raise _refused(400, "from.email", "The from email does not contain a valid address.")
        subject = person.get("subject") or mail.get("subject")
        if not subject:
            raise _refused(400, "subject", "The subject is required.")
        parts = mail.get("content")
        if not isinstance(parts, list) or not parts or not all(part.get("value") for part in parts):
            raise _refused(400, "content", "The content value must be a string at least one character long.")
        types = [part.get("type") for part in parts]
        if types != sorted(types, key=lambda name: name != "text/plain"):
            raise _refused(400, "content", "text/plain must come first.")
        headers = {**(mail.get("headers") or {}), **(person.get("headers") or {})}
        if taken := [name for name in headers if name.lower() in _RESERVED]:
            raise _refused(400, f"headers.{taken[0]}", "The header is reserved.")
        arguments = {**(mail.get("custom_args") or {}), **(person.get("custom_args") or {})}
        if not all(isinstance(value, str) for value in arguments.values()):
            raise _refused(400, "custom_args", "The custom arguments must be strings.")
        if len(json.dumps(arguments)) > MAX_CUSTOM_ARGS:
            raise _refused(400, "custom_args", "The custom arguments exceed 10000 bytes.")
        self._sent += 1
        id = f"simulated{self._sent:013d}"
        shown = {"subject": subject, "headers": headers, "from": sender, "arguments": arguments}
        shown |= {part["type"].partition("/")[2]: part["value"] for part in parts}
        return Taken(
            reply=Reply(202, None, {"X-Message-Id": id}),
            to=to,
            message=shown,
            deliveries=tuple(arguments[name] for name in ("delivery",) if name in arguments),
            id=id,
            callback=self.webhook,
        )

    def fault(self, status: int, retry_after: float | None) -> Reply:
        text = "too many requests" if status == 429 else "internal error"
        return Reply(status, {"errors": [{"message": text, "field": None}]}, after(retry_after))

    def callbacks(self, taken: Taken, word: str, now: float) -> list[Callback]:
        if taken.callback is None:
            return []
        names = _EVENTS.get(word, ("processed", "delivered"))
        return [self.callback(taken, name, now) for name in names]

    def callback(self, taken: Taken, event: str, now: float) -> Callback:
        """A post of the Event Webhook that says `event` at `now`."""
        assert taken.callback is not None
        self._events += 1
        said: dict[str, Any] = {
            **taken.message["arguments"],
            "email": taken.to,
            "timestamp": int(now),
            "event": event,
            "sg_event_id": f"event-{self._events}",
            "sg_message_id": f"{taken.id}.recvd-0-0",
        }
        if event == "bounce":
            said |= {"type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 no such user"}
        return signed(taken.callback, [said], now)


def signed(url: str, events: list[dict[str, Any]], now: float) -> Callback:
    body, timestamp = json.dumps(events).encode(), str(int(now))
    headers = {
        "Content-Type": "application/json",
        "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        "X-Twilio-Email-Event-Webhook-Signature": signing.sendgrid(timestamp, body),
    }
    return Callback(url, ",".join(event["event"] for event in events), headers, body)


def _first(shape: dict[str, Any], name: str, field: str | None = None) -> dict[str, Any]:
    items = shape.get(name)
    if not isinstance(items, list) or not items or not isinstance(items[0], dict):
        raise _refused(400, field or name, f"The {name} array is required and must have at least one item.")
    found: dict[str, Any] = items[0]
    return found


def _refused(status: int, field: str | None, text: str) -> Refused:
    return Refused(Reply(status, {"errors": [{"message": text, "field": field, "help": None}]}))
