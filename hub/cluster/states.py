"""The state of connections that may be taken up again, in Redis: any process can give it to its owner.

A state is found by a secret of its connection and given to its owner only. Each time it is given out its
turn grows, and who holds an older turn can write it no more: so of two that claim it, one has it. It lives
for a while after it was last written or given out. Redis holds a digest of the secret, so reading Redis
gives nobody a state. This file does not know connections or what a state says.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import secrets
import time
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, NamedTuple

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

TIMEOUT = 0.5  # seconds Redis has to answer
REST = 1.0  # seconds without asking it after it has not
MAX_SECRET = 64
AT_ONCE = 500  # states written in one go
_LUA = files("hub.cluster") / "lua"
CLAIM, KEEP = ((_LUA / f"recovery_{name}.lua").read_text() for name in ("claim", "keep"))

log = structlog.get_logger(__name__)


class Claimed(NamedTuple):
    content: bytes
    turn: int


class State(NamedTuple):
    """What is written. `turn`: 1 when it is new, else what the claim has said."""

    secret: str
    owner: str
    turn: int
    content: bytes


class States:
    """`life` in seconds. `redis` None: there are no states, and nobody is refused one for long."""

    def __init__(self, redis: Redis | None, *, prefix: str, life: float) -> None:
        self._redis = redis
        self._prefix = prefix
        self._life = str(math.ceil(life * 1000))
        self._claim = redis.register_script(CLAIM) if redis is not None else None
        self._keep = redis.register_script(KEEP) if redis is not None else None
        self._resting_until = -math.inf

    @staticmethod
    def new_secret() -> str:
        return secrets.token_urlsafe(24)

    async def claim(self, secret: str, owner: str) -> Claimed | None:
        """The state behind a secret. None: unknown, too old, somebody else's, or Redis does not answer."""
        if self._claim is None or not 0 < len(secret) <= MAX_SECRET:
            return None
        found = await self._answer(self._claim(keys=[self._key(secret)], args=[owner, self._life]))
        return Claimed(bytes(found[0]), int(found[1])) if found else None

    async def keep(self, state: State) -> bool | None:
        """Write a state. False: it was taken over, and is as it was. None: Redis does not answer."""
        return await self._write(state, self._life)

    async def forget(self, state: State) -> None:
        """Nobody gets it any more, unless it was taken over."""
        await self._write(state, "0")

    async def keep_all(self, states: Sequence[State]) -> list[bool | None]:
        """As `keep`, for many at once."""
        if self._redis is None or self._keep is None:
            return [None] * len(states)
        kept: list[bool | None] = []
        for start in range(0, len(states), AT_ONCE):
            some = states[start : start + AT_ONCE]
            pipe = self._redis.pipeline(transaction=False)
            for state in some:
                await self._keep(**self._order(state, self._life), client=pipe)
            answers = await self._answer(pipe.execute())
            kept += [None] * len(some) if answers is None else map(bool, answers)
        return kept

    async def _write(self, state: State, life: str) -> bool | None:
        if self._keep is None:
            return None
        answer = await self._answer(self._keep(**self._order(state, life)))
        return None if answer is None else bool(answer)

    def _order(self, state: State, life: str) -> dict[str, Any]:
        """What the script is called with."""
        return {
            "keys": [self._key(state.secret)],
            "args": [state.owner, state.content, state.turn, life],
        }

    async def _answer(self, asked: Any) -> Any:
        """What Redis answers; None when it does not, and is left alone for a moment."""
        if time.monotonic() < self._resting_until:
            asked.close()
            return None
        try:
            async with asyncio.timeout(TIMEOUT):
                return await asked
        except (RedisError, OSError, TimeoutError) as error:
            self._resting_until = time.monotonic() + REST
            reason = f"{type(error).__name__}: {error}"
            log.warning("connections cannot be recovered now", action="recovery.away", error=reason)
            return None

    def _key(self, secret: str) -> str:
        digest = hashlib.sha256(secret.encode(errors="replace")).hexdigest()
        return f"{self._prefix}:state:{digest}"
