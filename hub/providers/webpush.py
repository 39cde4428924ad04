"""Web push (RFC 8030, 8291, 8292): a small JSON for a browser's service worker, encrypted for it alone.

An address is a `PushSubscription` as JSON. The push service is whoever the browser has chosen, so each host
stands for itself: see `lane`. A repetition replaces what was not shown yet (`Topic`). Knows no delivery
states.
"""

from __future__ import annotations

import time
from typing import Any

import orjson
from pywebpush import WebPusher, WebPushException
from yarl import URL

from hub.domain.message import Message
from hub.providers import vapid
from hub.providers.answers import refused
from hub.providers.calls import Answer, Calls
from hub.providers.receipt import Outcome, Permanent, Receipt

# RFC 8291, 4: a push service takes 4096 bytes; encryption adds 103 to what is inside.
MAX_PAYLOAD = 4096 - 103
TOKEN_SECONDS = 12 * 3600  # RFC 8292, 2: at most 24 hours
_GONE = frozenset({404, 410})
_URGENT = frozenset({"error", "critical"})


class WebPush:
    """`key` is the VAPID private key, `subject` a mailto: or https: URL of who runs this hub.

    `ttl`: seconds for which the push service keeps a message for a browser that is away. Raises ValueError.
    """

    name = "webpush"

    def __init__(self, calls: Calls, key: str, *, subject: str, ttl: int = 86400) -> None:
        self._calls = calls
        self._vapid = vapid.load(key)
        self._subject = subject
        self._ttl = ttl

    def lane(self, address: str) -> str:
        """Whose health an answer for this address tells of: the push service's host."""
        subscription = _subscription(address)
        return URL(subscription["endpoint"]).host or "" if subscription else ""

    async def send(self, message: Message) -> Outcome:
        subscription = _subscription(message.address)
        if subscription is None:
            return Permanent("not a push subscription", gone=True)
        try:
            body = WebPusher(subscription).encode(_payload(message))["body"]
            headers = self._headers(subscription["endpoint"], message)
        except (WebPushException, ValueError, TypeError):  # keys that are none
            return Permanent("the keys of the push subscription cannot be used", gone=True)
        answer = await self._calls.ask("POST", subscription["endpoint"], headers=headers, data=body)
        if not isinstance(answer, Answer):
            return answer
        if 200 <= answer.status < 300:
            return Receipt(answer.headers.get("Location"))
        if answer.status in _GONE:
            return Permanent(f"{answer.status} the subscription has ended", gone=True)
        if answer.status in (401, 403):  # made for another key of ours, which no waiting brings back
            return Permanent(f"{answer.status} the push service refuses our key")
        return refused(answer.status, answer.text, answer.headers.get("Retry-After"))

    async def close(self) -> None:
        await self._calls.close()

    def _headers(self, endpoint: str, message: Message) -> dict[str, str]:
        claims = {
            "aud": str(URL(endpoint).origin()),
            "sub": self._subject,
            "exp": int(time.time()) + TOKEN_SECONDS,
        }
        return {
            **self._vapid.sign(claims),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(self._ttl),
            "Urgency": "high" if message.severity in _URGENT else "normal",
            "Topic": message.id,  # RFC 8030, 5.4: at most 32 characters of base64url
        }


def _subscription(address: str) -> dict[str, Any] | None:
    """What `pywebpush` reads of it; None when it is no subscription."""
    try:
        given = orjson.loads(address)
        keys = {name: given["keys"][name] for name in ("p256dh", "auth")}
        endpoint = given["endpoint"]
        URL(endpoint).origin()
    except (ValueError, KeyError, TypeError):
        return None
    return (
        {"endpoint": endpoint, "keys": keys} if all(isinstance(key, str) for key in keys.values()) else None
    )


def _payload(message: Message) -> bytes:
    """What the service worker gets; a text that is too long is cut."""
    shape = {
        "id": message.id,
        "type": message.type,
        "title": message.subject[:200],
        "message": message.text.strip(),
        "link": message.link,
        "severity": message.severity,
    }
    text = message.text.strip()[:MAX_PAYLOAD]
    while len(payload := orjson.dumps(shape)) > MAX_PAYLOAD:
        if not text:
            shape["link"] = None  # longer than all that a push may hold
        # A character is at most four bytes, so this never cuts too much.
        text = text[: -((len(payload) - MAX_PAYLOAD) // 4 + 1)]
        shape["message"] = f"{text}…"
    return payload
