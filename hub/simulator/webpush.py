"""A push service (RFC 8030): takes encrypted messages for subscriptions and, holding their keys, reads them.

Checks the VAPID token (RFC 8292) and the encryption (RFC 8291). A subscription lives until it is deleted.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import http_ece
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hub.simulator.twin import Ask, Callback, Refused, Reply, Taken, after

MAX_BODY = 4096
MAX_TOKEN_SECONDS = 24 * 3600
_VAPID = re.compile(r"vapid t=([\w.-]+), ?k=([\w-]+)")


@dataclass(frozen=True, slots=True)
class _Subscription:
    private: ec.EllipticCurvePrivateKey
    auth: bytes


class WebPush:
    name = "webpush"
    paths = ("/push/{subscription}",)

    def __init__(self) -> None:
        self._subscriptions: dict[str, _Subscription | None] = {}
        self._sent = 0

    def subscribe(self, base: str) -> dict[str, Any]:
        """A new subscription, as `PushSubscription.toJSON()` has it; its endpoint is below `base`."""
        id, key, auth = (
            secrets.token_urlsafe(12),
            ec.generate_private_key(ec.SECP256R1()),
            secrets.token_bytes(16),
        )
        self._subscriptions[id] = _Subscription(key, auth)
        point = key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        keys = {"p256dh": _base64(point), "auth": _base64(auth)}
        return {"endpoint": f"{base}/push/{id}", "expirationTime": None, "keys": keys}

    def unsubscribe(self, endpoint: str) -> None:
        """The browser is gone: 410 from now on."""
        self._subscriptions[endpoint.rpartition("/")[2]] = None

    def take(self, ask: Ask, now: float) -> Taken:
        id = ask.places["subscription"]
        if id not in self._subscriptions:
            raise Refused(Reply(404, {"message": "no such subscription"}))
        subscription = self._subscriptions[id]
        if subscription is None:
            raise Refused(Reply(410, {"message": "push subscription has unsubscribed or expired"}))
        if not ask.headers.get("TTL", "").isdigit():
            raise Refused(Reply(400, {"message": "TTL header is missing"}))
        claims = _claims(ask, now)
        if len(ask.body) > MAX_BODY:
            raise Refused(Reply(413, {"message": "the payload is larger than 4096 bytes"}))
        if ask.headers.get("Content-Encoding") != "aes128gcm":
            raise Refused(Reply(400, {"message": "Content-Encoding is not aes128gcm"}))
        try:
            clear = http_ece.decrypt(
                ask.body, private_key=subscription.private, auth_secret=subscription.auth, version="aes128gcm"
            )
            payload = json.loads(clear)
        except (http_ece.ECEException, ValueError) as fault:  # a browser would drop it
            raise Refused(Reply(400, {"message": f"cannot be decrypted: {fault}"})) from fault
        self._sent += 1
        place = f"/message/{self._sent}"
        return Taken(
            reply=Reply(201, None, {"Location": place}),
            to=id,
            message={
                "payload": payload,
                "ttl": int(ask.headers["TTL"]),
                "urgency": ask.headers.get("Urgency"),
                "topic": ask.headers.get("Topic"),
                "subject": claims["sub"],
            },
            deliveries=(payload["id"],) if isinstance(payload, dict) and "id" in payload else (),
            id=place,
        )

    def fault(self, status: int, retry_after: float | None) -> Reply:
        return Reply(status, {"message": "as the script says"}, after(retry_after))

    def callbacks(self, taken: Taken, word: str, now: float) -> list[Callback]:
        return []


def _claims(ask: Ask, now: float) -> dict[str, Any]:
    """The claims of the request's VAPID token. Raises `Refused`."""
    found = _VAPID.fullmatch(ask.headers.get("Authorization", ""))
    if found is None:
        raise Refused(Reply(401, {"message": "a VAPID token is required"}))
    where = urlsplit(ask.url)
    try:
        point = base64.urlsafe_b64decode(found[2] + "==")
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        claims: dict[str, Any] = jwt.decode(
            found[1],
            key,
            algorithms=["ES256"],
            audience=f"{where.scheme}://{where.netloc}",
            options={"require": ["exp", "aud", "sub"]},
        )
    except (ValueError, jwt.InvalidTokenError) as fault:
        raise Refused(Reply(403, {"message": f"the VAPID token is refused: {fault}"})) from fault
    if claims["exp"] > now + MAX_TOKEN_SECONDS + 60:
        raise Refused(Reply(403, {"message": "the VAPID token lives longer than 24 hours"}))
    return claims


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
