"""Tokens of people who do not exist, one for each connection, and the room that all of them are in."""

from __future__ import annotations

import time
from pathlib import Path

import jwt

TENANT = "bench"
ROOM = f"tenant:{TENANT}"
SECRET = "a-secret-of-the-benchmarks-that-is-long-enough"
LIFE_SECONDS = 7200


def token(number: int) -> str:
    """Person `number`, whose connection is in four rooms: user, role, tenant and session."""
    claims = {
        "sub": f"u{number}",
        "tenant": TENANT,
        "roles": ["CUSTOMER"],
        "sid": f"s{number}",
        "exp": int(time.time()) + LIFE_SECONDS,
    }
    return jwt.encode(claims, SECRET, algorithm="HS256")


def write(path: Path, count: int) -> Path:
    """`count` tokens, one a line."""
    path.write_text("".join(f"{token(number)}\n" for number in range(count)))
    return path
