"""What providers send back, checked and read: Twilio's callbacks, SendGrid's events, Resend's webhooks.

Promises: nothing is looked at before its signature and its age are right; the checks are those of the
providers' own SDKs; words that nobody here knows are left out. What comes out is what was said, in one
shape. Knows no deliveries and no SQL.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qs, parse_qsl, urlsplit

import orjson
import resend
from multidict import MultiDict
from sendgrid.helpers.eventwebhook import EventWebhook
from twilio.request_validator import RequestValidator

from hub.domain.callback import BOUNCED, COMPLAINED, UNSUBSCRIBED, Report
from hub.domain.delivery import Status
from hub.domain.errors import BodyTooLarge, Invalid, SignatureInvalid
from hub.providers.post import Post

MAX_FIELDS = 200  # of a form
_ID = re.compile(r"[0-9A-Za-z]{26}")
_NAME = re.compile(r"[!-~]{1,255}")
_FORGED = "this is not signed with the key that is configured here"
_LATEST = 253402300799  # the year 9999


class Means(NamedTuple):
    """What a provider's word leads to."""

    status: Status | None = None
    suppress: str | None = None


# -- Twilio ----------------------------------------------------------------------------------------------
_TWILIO = {
    **dict.fromkeys(("accepted", "queued", "sending", "sent"), Status.SENT),
    "delivered": Status.DELIVERED,
    "read": Status.OPENED,
    **dict.fromkeys(("undelivered", "failed"), Status.DEAD),
}
_STOPPED = "21610"  # the recipient has answered STOP


class TwilioCallbacks:
    """`public_url`: where Twilio was told to call. Its signature covers the address and every field.

    A signature has no age; said again, it changes nothing.
    """

    def __init__(self, token: str, *, public_url: str) -> None:
        self._validator = RequestValidator(token)
        self._base = public_url.rstrip("/")

    def read(self, post: Post, *, now: datetime) -> list[Report]:
        try:
            pairs = parse_qsl(post.body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
        except ValueError:
            raise SignatureInvalid(_FORGED) from None
        url, fields = self._base + post.target, MultiDict(pairs)
        if not self._validator.validate(url, fields, post.headers.get("X-Twilio-Signature", "")):
            raise SignatureInvalid(_FORGED)
        word, code = fields.get("MessageStatus", ""), fields.get("ErrorCode", "")
        status = _TWILIO.get(word)
        if status is None:
            return []
        [delivery] = parse_qs(urlsplit(post.target).query).get("delivery", [""])[:1]
        report = Report(
            provider="twilio",
            channel="sms",
            delivery=_id(delivery),
            provider_id=_name(fields.get("MessageSid")),
            at=now,
            status=status,
            suppress=UNSUBSCRIBED if code == _STOPPED else None,
            detail=f"{word}, error {code}" if code else None,
        )
        return [report]


# -- SendGrid --------------------------------------------------------------------------------------------
_SENDGRID = {
    "processed": Means(Status.SENT),
    "delivered": Means(Status.DELIVERED),
    "open": Means(Status.OPENED),
    "click": Means(Status.OPENED),
    "bounce": Means(Status.DEAD, BOUNCED),
    "dropped": Means(Status.DEAD),
    "spamreport": Means(None, COMPLAINED),
    "unsubscribe": Means(None, UNSUBSCRIBED),
    "group_unsubscribe": Means(None, UNSUBSCRIBED),
}
# Why SendGrid drops: the address stands in a list of its own.
_DROPPED = {
    "bounced address": BOUNCED,
    "invalid": BOUNCED,
    "spam reporting address": COMPLAINED,
    "unsubscribed address": UNSUBSCRIBED,
}


class SendGridCallbacks:
    """`key`: the verification key that SendGrid shows (base64). `age`: seconds; `most`: events in one post.

    Raises ValueError for what is no key.
    """

    def __init__(self, key: str, *, age: float, most: int) -> None:
        self._webhook = EventWebhook(key)
        self._age = age
        self._most = most

    def read(self, post: Post, *, now: datetime) -> list[Report]:
        timestamp = post.headers.get("X-Twilio-Email-Event-Webhook-Timestamp", "")
        signature = post.headers.get("X-Twilio-Email-Event-Webhook-Signature", "")
        _require_fresh(timestamp, now, self._age)
        try:
            signed = self._webhook.verify_signature(post.body.decode(), signature, timestamp)
        except ValueError:  # no UTF-8, no base64
            signed = False
        if not signed:
            raise SignatureInvalid(_FORGED)
        events = _json(post.body)
        if not isinstance(events, list):
            raise Invalid("events come as a list")
        if len(events) > self._most:
            raise BodyTooLarge(f"at most {self._most} events at once")
        return [report for event in events if (report := _of_sendgrid(event, now)) is not None]


def _of_sendgrid(event: Any, now: datetime) -> Report | None:
    if not isinstance(event, dict):
        return None
    word, reason = event.get("event"), event.get("reason")
    means = _SENDGRID.get(word) if isinstance(word, str) else None
    if means is None:
        return None
    status, suppress = means
    if word == "bounce" and event.get("type") == "blocked":  # not the address: the mail, or our own server
        suppress = None
    if word == "dropped" and isinstance(reason, str):
        suppress = _DROPPED.get(reason.casefold())
    if word == "open" and event.get("sg_machine_open") is True:  # a program fetched it for the reader
        status = Status.DELIVERED
    # What its API called the message, and what became of it inside: id.filter-host-...
    message, _, _ = str(event.get("sg_message_id") or "").partition(".")
    return Report(
        provider="sendgrid",
        channel="email",
        delivery=_id(event.get("delivery")),
        provider_id=_name(message),
        at=_moment(event.get("timestamp"), now),
        status=status,
        suppress=suppress,
        detail=reason if isinstance(reason, str) else None,
    )


# -- Resend ----------------------------------------------------------------------------------------------
_RESEND = {
    "email.sent": Means(Status.SENT),
    "email.delivered": Means(Status.DELIVERED),
    "email.opened": Means(Status.OPENED),
    "email.clicked": Means(Status.OPENED),
    "email.bounced": Means(Status.DEAD, BOUNCED),
    "email.suppressed": Means(Status.DEAD, BOUNCED),
    "email.failed": Means(Status.DEAD),
    "email.complained": Means(None, COMPLAINED),
}


class ResendCallbacks:
    """`secret`: as Resend shows it (`whsec_...`). `age`: seconds; the SDK allows 300 at most."""

    def __init__(self, secret: str, *, age: float) -> None:
        self._secret = secret
        self._age = age

    def read(self, post: Post, *, now: datetime) -> list[Report]:
        id, timestamp, signature = (
            post.headers.get(f"svix-{name}", "") for name in ("id", "timestamp", "signature")
        )
        _require_fresh(timestamp, now, self._age)
        try:
            resend.Webhooks.verify(
                {
                    "payload": post.body.decode(),
                    "headers": {"id": id, "timestamp": timestamp, "signature": signature},
                    "webhook_secret": self._secret,
                }
            )
        except ValueError:
            raise SignatureInvalid(_FORGED) from None
        said = _json(post.body)
        if not isinstance(said, dict) or not isinstance(said.get("data"), dict):
            raise Invalid("an event is an object with its data")
        word, data = said.get("type"), said["data"]
        means = _RESEND.get(word) if isinstance(word, str) else None
        if means is None:
            return []
        status, suppress = means
        about = data.get("bounce") if isinstance(data.get("bounce"), dict) else {}
        if word == "email.bounced" and about.get("type", "Permanent") != "Permanent":
            suppress = None
        detail = about.get("message")
        report = Report(
            provider="resend",
            channel="email",
            delivery=_id(_tag(data.get("tags"), "delivery")),
            provider_id=_name(data.get("email_id")),
            at=_moment(said.get("created_at"), now),
            status=status,
            suppress=suppress,
            detail=detail if isinstance(detail, str) else None,
        )
        return [report]


def _tag(tags: Any, name: str) -> Any:
    """Tags come as an object, or as they were sent: a list of names and values."""
    if isinstance(tags, dict):
        return tags.get(name)
    if isinstance(tags, Sequence) and not isinstance(tags, str):
        return next(
            (tag.get("value") for tag in tags if isinstance(tag, dict) and tag.get("name") == name), None
        )
    return None


# -- parts -----------------------------------------------------------------------------------------------
def _require_fresh(timestamp: str, now: datetime, age: float) -> None:
    """Raises `SignatureInvalid` for a time (Unix seconds) further than `age` seconds from now."""
    known = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12
    if not known or abs(now.timestamp() - int(timestamp)) > age:
        raise SignatureInvalid(f"signed at no time within {age:g} s of now")


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except ValueError:
        raise Invalid("the body is not JSON") from None


def _id(value: Any) -> str | None:
    """A delivery's id, or None for what cannot be one."""
    return value.upper() if isinstance(value, str) and _ID.fullmatch(value) else None


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and _NAME.fullmatch(value) else None


def _moment(value: Any, now: datetime) -> datetime:
    """When it happened, in Unix seconds or ISO 8601; now, when that cannot be read or is yet to come."""
    try:
        if isinstance(value, str):
            at = datetime.fromisoformat(value)
            at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        elif isinstance(value, int | float) and 0 <= value <= _LATEST:
            at = datetime.fromtimestamp(value, UTC)
        else:
            return now
        return min(at.astimezone(UTC), now)
    except (ValueError, OverflowError):
        return now
