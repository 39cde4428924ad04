"""What providers post, read: only what is signed and fresh, and into which words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from hub.domain.callback import BOUNCED, COMPLAINED, UNSUBSCRIBED
from hub.domain.delivery import Status
from hub.domain.errors import BodyTooLarge, Invalid, SignatureInvalid
from hub.providers.callbacks import ResendCallbacks, SendGridCallbacks, TwilioCallbacks
from hub.providers.post import Post, Reader
from hub.simulator import resend, sendgrid, signing, twilio
from hub.simulator.twin import Callback

ID = "01KQD5X7M4J8Y3T2R6W9P0ZBCD"
NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
BASE = "https://hub.example.com"
TWILIO = TwilioCallbacks(twilio.TOKEN, public_url=f"{BASE}/")
SENDGRID = SendGridCallbacks(signing.SENDGRID_PUBLIC_KEY, age=300, most=3)
RESEND = ResendCallbacks(signing.RESEND_SECRET, age=300)


@pytest.fixture(autouse=True)
def standing_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resend's SDK asks the clock itself."""
    monkeypatch.setattr("resend.webhooks._webhooks.time", SimpleNamespace(time=NOW.timestamp))


class Headers(dict[str, str]):
    """As aiohttp's: a name has no case."""

    def __init__(self, given: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in given.items()})

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


def post(callback: Callback, **changed: Any) -> Post:
    headers = Headers({**callback.headers, **changed.pop("headers", {})})
    target = changed.get("target", callback.url.removeprefix(BASE))
    return Post(target, headers, changed.get("body", callback.body))


def of_twilio(state: str, path: str = f"/providers/twilio/status?delivery={ID}", **more: str) -> Callback:
    fields = {"MessageSid": "SM1", "MessageStatus": state, "To": "+4477", "Nothing": "", **more}
    return twilio.signed(BASE + path, fields)


def of_sendgrid(*events: Mapping[str, Any], at: datetime = NOW) -> Callback:
    given = {"delivery": ID, "sg_message_id": "abc.filter-1", "timestamp": int(at.timestamp())}
    return sendgrid.signed(f"{BASE}/x", [{**given, **event} for event in events], at.timestamp())


def of_resend(type: str, at: datetime = NOW, **data: Any) -> Callback:
    said = {
        "type": type,
        "created_at": at.isoformat(),
        "data": {"email_id": "e-1", "tags": {"delivery": ID}, **data},
    }
    return resend.signed(f"{BASE}/x", "msg_1", said, at.timestamp())


def led(reader: Reader, callback: Callback) -> tuple[Status | None, str | None] | None:
    reports = reader.read(post(callback), now=NOW)
    return (reports[0].status, reports[0].suppress) if reports else None


# -- what is believed ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("reader", "callback"),
    [
        (TWILIO, of_twilio("delivered")),
        (SENDGRID, of_sendgrid({"event": "delivered"})),
        (RESEND, of_resend("email.delivered")),
    ],
    ids=["twilio", "sendgrid", "resend"],
)
def test_what_is_signed_is_read_and_what_was_touched_is_refused(reader: Reader, callback: Callback) -> None:
    [report] = reader.read(post(callback), now=NOW)
    assert (report.delivery, report.status, report.at) == (ID, Status.DELIVERED, NOW)
    assert report.provider_id == {"twilio": "SM1", "sendgrid": "abc", "resend": "e-1"}[report.provider]
    signature = next(name for name in callback.headers if "signature" in name.lower())
    other = callback.headers[signature].swapcase()
    for touched in (
        post(callback, body=callback.body.replace(ID.encode(), b"0" * 26).replace(b"SM1", b"SM2")),
        post(callback, body=callback.body + b" "),
        post(callback, body=b"\xff" + callback.body),
        post(callback, body=b""),
        post(callback, headers={signature: other}),
        post(callback, headers={signature: ""}),
        post(callback, headers={signature: "\u00e9"}),
        post(callback, headers={signature: "v1,AAAA"}),
    ):
        with pytest.raises(SignatureInvalid):
            reader.read(touched, now=NOW)


def test_twilio_signs_the_address_with_its_query() -> None:
    callback = of_twilio("delivered")
    for target in ("/providers/twilio/status", f"/providers/twilio/status?delivery={'1' * 26}"):
        with pytest.raises(SignatureInvalid):
            TWILIO.read(post(callback, target=target), now=NOW)
    with pytest.raises(SignatureInvalid):
        TwilioCallbacks("another token", public_url=BASE).read(post(callback), now=NOW)


@pytest.mark.parametrize(
    ("reader", "make"),
    [
        (SENDGRID, lambda at: of_sendgrid({"event": "delivered"}, at=at)),
        (RESEND, lambda at: of_resend("email.delivered", at=at)),
    ],
    ids=["sendgrid", "resend"],
)
def test_a_signature_is_good_for_a_while(reader: Reader, make: Any) -> None:
    for seconds in (-300, 300):
        assert reader.read(post(make(NOW + timedelta(seconds=seconds))), now=NOW)
    for seconds in (-301, 301):
        with pytest.raises(SignatureInvalid, match="within 300 s"):
            reader.read(post(make(NOW + timedelta(seconds=seconds))), now=NOW)
    timestamp = next(name for name in make(NOW).headers if "timestamp" in name.lower())
    for text in ("", "now", "-1", "1e9", "9" * 30, "\u0663"):
        with pytest.raises(SignatureInvalid):
            reader.read(post(make(NOW), headers={timestamp: text}), now=NOW)


def test_what_is_signed_and_makes_no_sense_is_refused_all_the_same() -> None:
    body = b'{"event": "delivered"}'
    timestamp = str(int(NOW.timestamp()))
    for body in (b'{"event": "delivered"}', b"[1,", b'"x"'):
        headers = {
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
            "X-Twilio-Email-Event-Webhook-Signature": signing.sendgrid(timestamp, body),
            "svix-id": "msg_1",
            "svix-timestamp": timestamp,
            "svix-signature": signing.resend("msg_1", timestamp, body),
        }
        for reader in (SENDGRID, RESEND):
            with pytest.raises((Invalid, SignatureInvalid)):
                reader.read(Post("/x", Headers(headers), body), now=NOW)
    with pytest.raises(BodyTooLarge, match="at most 3"):
        SENDGRID.read(post(of_sendgrid(*[{"event": "open"}] * 4)), now=NOW)


def test_ids_that_cannot_be_ids_are_none() -> None:
    odd = of_sendgrid({"event": "open", "delivery": {"a": 1}, "sg_message_id": "\x00", "timestamp": "x"})
    [report] = SENDGRID.read(post(odd), now=NOW)
    assert (report.delivery, report.provider_id, report.at) == (None, None, NOW)
    [report] = SENDGRID.read(post(of_sendgrid({"event": "open", "timestamp": 9e12})), now=NOW)
    assert report.at == NOW  # it cannot have happened yet
    [report] = RESEND.read(post(of_resend("email.opened", tags=[{"name": "delivery", "value": ID}])), now=NOW)
    assert report.delivery == ID
    assert SENDGRID.read(post(of_sendgrid({"event": "deferred"}, {"event": ""})), now=NOW) == []


# -- what it means ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("state", "code", "expected"),
    [
        ("queued", "", (Status.SENT, None)),
        ("sent", "", (Status.SENT, None)),
        ("delivered", "", (Status.DELIVERED, None)),
        ("undelivered", "30003", (Status.DEAD, None)),
        ("failed", "21610", (Status.DEAD, UNSUBSCRIBED)),
        ("canceled", "", None),
    ],
)
def test_the_words_of_twilio(state: str, code: str, expected: Any) -> None:
    assert led(TWILIO, of_twilio(state, **({"ErrorCode": code} if code else {}))) == expected


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"event": "processed"}, (Status.SENT, None)),
        ({"event": "open"}, (Status.OPENED, None)),
        ({"event": "open", "sg_machine_open": True}, (Status.DELIVERED, None)),
        ({"event": "bounce", "type": "bounce"}, (Status.DEAD, BOUNCED)),
        ({"event": "bounce", "type": "blocked"}, (Status.DEAD, None)),
        ({"event": "dropped", "reason": "Bounced Address"}, (Status.DEAD, BOUNCED)),
        ({"event": "dropped", "reason": "Spam Content"}, (Status.DEAD, None)),
        ({"event": "spamreport"}, (None, COMPLAINED)),
        ({"event": "unsubscribe"}, (None, UNSUBSCRIBED)),
        ({"event": "deferred"}, None),
    ],
)
def test_the_words_of_sendgrid(event: dict[str, Any], expected: Any) -> None:
    assert led(SENDGRID, of_sendgrid(event)) == expected


@pytest.mark.parametrize(
    ("type", "data", "expected"),
    [
        ("email.sent", {}, (Status.SENT, None)),
        ("email.clicked", {}, (Status.OPENED, None)),
        ("email.bounced", {"bounce": {"type": "Permanent", "message": "no"}}, (Status.DEAD, BOUNCED)),
        ("email.bounced", {"bounce": {"type": "Transient"}}, (Status.DEAD, None)),
        ("email.complained", {}, (None, COMPLAINED)),
        ("email.delivery_delayed", {}, None),
        ("contact.created", {}, None),
    ],
)
def test_the_words_of_resend(type: str, data: dict[str, Any], expected: Any) -> None:
    assert led(RESEND, of_resend(type, **data)) == expected


def test_the_reason_of_a_bounce_is_kept() -> None:
    bounced = of_resend("email.bounced", bounce={"type": "Permanent", "message": "550 no such user"})
    assert RESEND.read(post(bounced), now=NOW)[0].detail == "550 no such user"
    assert (
        TWILIO.read(post(of_twilio("failed", ErrorCode="30003")), now=NOW)[0].detail == "failed, error 30003"
    )
