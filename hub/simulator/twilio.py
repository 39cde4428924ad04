"""Twilio's Messages resource, as far as one SMS goes (`CreateMessage`), and its status callbacks."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from hub.simulator import signing
from hub.simulator.twin import Ask, Callback, Refused, Reply, Taken, after

ACCOUNT = "AC" + "5" * 32
TOKEN = "the-simulators-auth-token"  # noqa: S105  (no secret)
NUMBER = "+15005550006"  # Twilio's own number for tests
MAX_BODY = 1600
_NUMBER = re.compile(r"\+[1-9]\d{6,14}")
# Twilio's own numbers that fail, and as what.
_MAGIC = {
    "+15005550001": (21211, "Invalid 'To' Phone Number"),
    "+15005550004": (21610, "Attempt to send to unsubscribed recipient"),
    "+15005550009": (21614, "'To' number is not a valid mobile number"),
}
_STATES = {"bounced": ("sent", "undelivered"), "silent": ()}


class Twilio:
    name = "twilio"
    paths = ("/2010-04-01/Accounts/{account}/Messages.json",)

    def __init__(self) -> None:
        self._sent = 0

    def take(self, ask: Ask, now: float) -> Taken:
        login = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        if ask.headers.get("Authorization") != f"Basic {login}" or ask.places["account"] != ACCOUNT:
            raise _refused(401, 20003, "Authenticate")
        if not ask.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
            raise _refused(400, 20001, "The body is not a form")
        fields = {name: values[-1] for name, values in parse_qs(ask.body.decode("utf-8", "replace")).items()}
        to, body = fields.get("To", ""), fields.get("Body", "")
        if not to:
            raise _refused(400, 21604, "A 'To' phone number is required")
        if not fields.get("From") and not fields.get("MessagingServiceSid"):
            raise _refused(400, 21603, "A 'From' phone number is required")
        if fields.get("From") not in (None, NUMBER):
            raise _refused(400, 21606, "The 'From' phone number is not one of this account")
        if not body:
            raise _refused(400, 21602, "Message body is required")
        if len(body) > MAX_BODY:
            raise _refused(400, 21617, "The concatenated message body exceeds the 1600 character limit")
        if to in _MAGIC or not _NUMBER.fullmatch(to):
            raise _refused(400, *_MAGIC.get(to, _MAGIC["+15005550001"]))
        callback = fields.get("StatusCallback")
        if callback is not None and urlsplit(callback).scheme not in ("http", "https"):
            raise _refused(400, 21609, "Invalid 'StatusCallback' URL")
        self._sent += 1
        id = f"SM{self._sent:032x}"
        deliveries = tuple(parse_qs(urlsplit(callback or "").query).get("delivery", ()))
        shape = {
            "sid": id,
            "account_sid": ACCOUNT,
            "to": to,
            "from": fields.get("From"),
            "body": body,
            "status": "queued",
            "num_segments": str(1 + (len(body) - 1) // 153),
            "error_code": None,
            "uri": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{id}.json",
        }
        return Taken(
            reply=Reply(201, shape),
            to=to,
            message={"text": body, "from": fields.get("From")},
            deliveries=deliveries,
            id=id,
            callback=callback,
        )

    def fault(self, status: int, retry_after: float | None) -> Reply:
        code, text = (20429, "Too Many Requests") if status == 429 else (20500, "An error occurred")
        return Reply(status, _error(status, code, text), after(retry_after))

    def callbacks(self, taken: Taken, word: str, now: float) -> list[Callback]:
        if taken.callback is None:
            return []
        states = _STATES.get(word, ("sent", "delivered"))
        return [self.callback(taken, state) for state in states]

    def callback(self, taken: Taken, state: str) -> Callback:
        """The status callback that says `state`."""
        assert taken.callback is not None
        fields = {
            "AccountSid": ACCOUNT,
            "ApiVersion": "2010-04-01",
            "From": str(taken.message["from"]),
            "To": taken.to,
            "MessageSid": taken.id,
            "SmsSid": taken.id,
            "MessageStatus": state,
            "SmsStatus": state,
            **({"ErrorCode": "30005"} if state == "undelivered" else {}),
        }
        return signed(taken.callback, fields)


def signed(url: str, fields: Mapping[str, str]) -> Callback:
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": signing.twilio(TOKEN, url, fields),
        "I-Twilio-Idempotency-Token": fields["MessageSid"] + fields["MessageStatus"],
    }
    return Callback(url, fields["MessageStatus"], headers, urlencode(fields).encode())


def read(body: bytes) -> dict[str, str]:
    """The fields of a callback's body."""
    return dict(parse_qsl(body.decode()))


def _error(status: int, code: int, text: str) -> dict[str, object]:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return {"code": code, "message": text, "more_info": more, "status": status}


def _refused(status: int, code: int, text: str) -> Refused:
    return Refused(Reply(status, _error(status, code, text)))
