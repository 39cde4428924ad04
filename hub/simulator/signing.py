"""Signatures of callbacks, as each provider makes them. The keys are constants: they protect nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_SENDGRID = ec.derive_private_key(int.from_bytes(b"the simulator's event webhook"), ec.SECP256R1())
# As SendGrid shows it under Mail Settings: base64 of the DER.
SENDGRID_PUBLIC_KEY = base64.b64encode(
    _SENDGRID.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
).decode()
RESEND_SECRET = f"whsec_{base64.b64encode(b'the webhook of the simulator').decode()}"


def twilio(token: str, url: str, fields: Mapping[str, str]) -> str:
    """`X-Twilio-Signature`: HMAC-SHA1 over the URL and the sorted fields (Twilio, "Security")."""
    text = url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), hashlib.sha1)).decode()


def sendgrid(timestamp: str, body: bytes) -> str:
    """`X-Twilio-Email-Event-Webhook-Signature`: ECDSA over timestamp and raw body."""
    signature = _SENDGRID.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    return base64.b64encode(signature).decode()


def resend(id: str, timestamp: str, body: bytes) -> str:
    """`svix-signature`: HMAC-SHA256 over id, timestamp and raw body, joined by dots."""
    key = base64.b64decode(RESEND_SECRET.removeprefix("whsec_"))
    text = b".".join((id.encode(), timestamp.encode(), body))
    return f"v1,{base64.b64encode(hmac.digest(key, text, hashlib.sha256)).decode()}"
