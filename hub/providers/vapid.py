"""VAPID keys (RFC 8292): by which push services know this hub.

A private key is 32 bytes in base64url, as web-push tools print them; the public key is what browsers need to
subscribe.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid02


def generate() -> str:
    """A new private key."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _base64(key.private_numbers().private_value.to_bytes(32))


def load(private: str) -> Vapid02:
    """The key that signs. Raises ValueError when the text is none."""
    try:
        return Vapid02.from_string(private.strip())
    except Exception:  # the library lets through whatever its parsers raise
        raise ValueError("not a VAPID key: 32 bytes in base64url, as `hub key vapid` prints") from None


def public_key(private: str) -> str:
    """The public key of a private one, in base64url. Raises ValueError."""
    point = load(private).public_key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return _base64(point)


def kept(path: Path) -> str:
    """The private key in this file, made on the first use. Raises OSError."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    ours = path.with_name(f"{path.name}.{os.getpid()}")
    ours.touch(mode=0o600)
    ours.write_text(f"{generate()}\n")
    try:
        os.link(ours, path)  # of several processes that start at once, the first decides
    except FileExistsError:
        pass
    ours.unlink()
    return path.read_text().strip()


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
