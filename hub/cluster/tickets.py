"""Single-use tickets in Redis: proof of who someone is, for the one request that cannot carry a token.

A ticket is redeemed at most once, by whichever process sees it first (GETDEL), and only for a short time.
Redis holds a digest of it, so reading Redis gives nobody a ticket. What a ticket stands for is the
caller's bytes; this file does not know principals.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable
from typing import TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from hub.domain.errors import Unavailable

TTL = 30  # seconds
TIMEOUT = 0.5  # seconds Redis has to answer
MAX_TICKET = 128

T = TypeVar("T")


class Tickets:
    """`redis` None: there is no Redis, and so there are no tickets (`Unavailable`)."""

    def __init__(self, redis: Redis | None, *, prefix: str, ttl: int = TTL) -> None:
        self.ttl = ttl
        self._redis = redis
        self._prefix = prefix

    async def issue(self, content: bytes) -> str:
        """A ticket that stands for `content` for `ttl` seconds. Raises `Unavailable`."""
        ticket = secrets.token_urlsafe(32)
        await _answer(self._required().set(self._key(ticket), content, ex=self.ttl))
        return ticket

    async def redeem(self, ticket: str) -> bytes | None:
        """What the ticket stands for, once; None: unknown, used or too old. Raises `Unavailable`."""
        if not ticket or len(ticket) > MAX_TICKET:
            return None
        content: bytes | str | None = await _answer(self._required().getdel(self._key(ticket)))
        return content.encode() if isinstance(content, str) else content

    def _required(self) -> Redis:
        if self._redis is None:
            raise Unavailable("tickets need Redis, and none is configured")
        return self._redis

    def _key(self, ticket: str) -> str:
        digest = hashlib.sha256(ticket.encode(errors="replace")).hexdigest()
        return f"{self._prefix}:ticket:{digest}"


async def _answer(asked: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(TIMEOUT):
            return await asked
    except (RedisError, OSError, TimeoutError) as error:
        raise Unavailable("tickets are not available at the moment", retry_after=1) from error
