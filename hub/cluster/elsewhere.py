"""What the other processes hold: a mirror of their connections, for the tenants that somebody asks about.

A tenant is read from Redis when it is first wanted, and kept current by the records that every process
announces; a record that does not continue what is known makes its node be read again, and a look at all
versions every third of a lease finds what the bus has lost and which nodes are no more. So what is here is
right within a lease. When Redis has not answered for a lease, a tenant counts as unknown, but is kept:
nobody has left because Redis is away.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import orjson
import structlog
from redis.asyncio import Redis

from hub.cluster.entries import decode, join_bytes
from hub.cluster.presence import FAULTS, script
from hub.cluster.record import Record
from hub.domain.roster import Entry, Roster, Rows

SETTLE = 0.1  # seconds a record has that Redis knows of and the bus has not brought yet
LINGER = 60.0  # seconds a tenant is kept after it was last wanted
REST = 1.0  # seconds without asking Redis after it has not answered
ANSWER = 1.0  # seconds Redis has to answer, at most

NOBODY = decode("", "")

log = structlog.get_logger(__name__)


class _Far:
    """One other node in one tenant. `heard` is the newest version that somebody spoke of."""

    __slots__ = ("_entries", "_rows", "heard", "version")

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._rows: Rows | None = None  # what is still to become entries
        self.version = 0
        self.heard = 0

    @property
    def entries(self) -> dict[str, Entry]:
        if self._rows is not None:
            self._entries, self._rows = dict(self._rows.items()), None
        return self._entries

    @property
    def empty(self) -> bool:
        return self._rows is None and not self._entries

    def begin(self, rows: Rows) -> None:
        """What an empty one holds."""
        self._rows = rows


class _Mirror:
    __slots__ = ("nodes", "reading", "roster", "verified", "wanted")

    def __init__(self) -> None:
        self.nodes: dict[str, _Far] = {}
        self.roster = Roster()
        self.verified = -math.inf  # when it was last compared with Redis
        self.wanted = -math.inf
        self.reading = asyncio.Lock()


class Elsewhere:
    """`process` names this process, whose own nodes are left out. `follow(tenant)` and `unfollow(tenant)`
    make the bus bring a tenant's records to `hear`. `changed(tenant, entries, came)` hears of every
    connection. `lease` in seconds.
    """

    def __init__(
        self,
        redis: Redis | None,
        *,
        prefix: str,
        process: str,
        lease: float,
        follow: Callable[[str], Awaitable[Any]],
        unfollow: Callable[[str], None],
        changed: Callable[[str, Iterable[Entry], bool], None],
    ) -> None:
        self._redis = redis
        self._prefix = f"{prefix}:presence"
        self._own = f"{process}."
        self._lease = lease
        self._follow = follow
        self._unfollow = unfollow
        self._changed = changed
        self._mirrors: dict[str, _Mirror] = {}
        self._resting_until = -math.inf
        self._look_at = 0.0  # when all tenants are compared with Redis again
        self._behind = False
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        if redis is not None:
            self._nodes_script = redis.register_script(script("nodes"))

    async def open(self) -> None:
        if self._redis is not None:
            self._task = asyncio.create_task(self._run(), name="presence-elsewhere")

    async def close(self) -> None:
        self._closing = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for tenant in list(self._mirrors):
            self._forget(tenant)

    # -- asking --------------------------------------------------------------------------------------
    async def roster(self, tenant: str) -> Roster | None:
        """The connections of a tenant on all other processes, right within a lease; None: not known now.

        Waits for Redis a moment when the tenant was not wanted before. Raises what `follow` raises.
        """
        if self._redis is None:
            return Roster()
        mirror = self._mirrors.get(tenant)
        if mirror is None:
            await self._follow(tenant)
            if (mirror := self._mirrors.get(tenant)) is None:
                mirror = self._mirrors[tenant] = _Mirror()
            else:
                self._unfollow(tenant)  # another one was faster
        mirror.wanted = time.monotonic()
        if not self._known(mirror) and time.monotonic() >= self._resting_until:
            async with mirror.reading:
                if not self._known(mirror) and time.monotonic() >= self._resting_until:
                    await self._try(self._read(tenant, mirror))
        return mirror.roster if self._known(mirror) else None

    def known(self, tenant: str) -> Roster | None:
        """What was mirrored, however old; None: the tenant is not wanted."""
        mirror = self._mirrors.get(tenant)
        return mirror.roster if mirror is not None else None

    def want(self, tenant: str) -> None:
        """Keep the mirror of a tenant for now."""
        if mirror := self._mirrors.get(tenant):
            mirror.wanted = time.monotonic()

    async def last_seen(self, tenant: str, users: Sequence[str]) -> dict[str, float | None]:
        """When these users last left, in Unix seconds; None: not known."""
        found: list[Any] = [None] * len(users)
        if self._redis is not None and users and time.monotonic() >= self._resting_until:

            async def ask(redis: Redis) -> None:
                found[:] = await redis.zmscore(f"{self._prefix}:seen:{tenant}", list(users))

            await self._try(ask(self._redis))
        return {user: None if at is None else float(at) / 1000 for user, at in zip(users, found, strict=True)}

    def _known(self, mirror: _Mirror) -> bool:
        return time.monotonic() - mirror.verified <= self._lease

    # -- hearing -------------------------------------------------------------------------------------
    def hear(self, record: Record) -> None:
        """A record of what came and went on some node."""
        mirror = self._mirrors.get(record.tenant)
        node, after, version = record.meta["p"], record.meta["a"], record.meta["v"]
        if mirror is None or node.startswith(self._own):
            return
        if record.meta["gone"]:
            self._replace(record.tenant, mirror, node, NOBODY, 0)
            return
        far = mirror.nodes.setdefault(node, _Far())
        far.heard = max(far.heard, version)
        if version <= far.version:
            return
        body = orjson.loads(record.body)
        came = decode(body["+"], node)
        if after == 0:
            self._replace(record.tenant, mirror, node, came, version)
        elif after == far.version:
            for conn, entry in came.items():
                self._put(record.tenant, mirror, far, conn, entry)
            for conn in body["-"]:
                self._put(record.tenant, mirror, far, conn, None)
            far.version = version
        else:
            self._behind = True
            self._wake.set()

    # -- reading -------------------------------------------------------------------------------------
    async def _run(self) -> None:
        """A look at every version each third of a lease, and sooner at what is behind."""
        while not self._closing:  # a cancellation may be swallowed, see Presence
            if self._behind:
                await asyncio.sleep(SETTLE)
            elif (wait := self._look_at - time.monotonic()) > 0:
                self._wake.clear()
                try:
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                continue
            self._behind = False
            self._look_at = time.monotonic() + self._lease / 3
            for tenant, mirror in list(self._mirrors.items()):
                if time.monotonic() - mirror.wanted > max(LINGER, self._lease):
                    self._forget(tenant)
                    continue
                async with mirror.reading:
                    if not await self._try(self._read(tenant, mirror)):
                        break

    def _forget(self, tenant: str) -> None:
        del self._mirrors[tenant]
        self._unfollow(tenant)

    async def _try(self, work: Awaitable[None]) -> bool:
        try:
            async with asyncio.timeout(min(ANSWER, self._lease / 3)):
                await work
        except (*FAULTS, ValueError, TypeError) as error:  # Redis is away, or holds what nobody here wrote
            self._resting_until = time.monotonic() + min(REST, self._lease / 3)
            reason = f"{type(error).__name__}: {error}"
            log.info("presence elsewhere is not known", action="presence.unknown", error=reason)
            return False
        return True

    async def _read(self, tenant: str, mirror: _Mirror) -> None:
        """Compare with Redis, and read the nodes that differ."""
        asked = time.monotonic()
        before = {node: far.version for node, far in mirror.nodes.items()}
        versions = await self._versions(tenant)
        for node, version in before.items():
            if node not in versions and (far := mirror.nodes.get(node)) and far.version == version:
                self._replace(tenant, mirror, node, NOBODY, 0)
        for node, version in versions.items():
            far = mirror.nodes.setdefault(node, _Far())
            far.heard = max(far.heard, version)
        if any(0 < far.version < far.heard for far in mirror.nodes.values()):
            await asyncio.sleep(SETTLE)
        for node, far in list(mirror.nodes.items()):
            if far.version < far.heard:
                await self._read_node(tenant, mirror, node)
        mirror.verified = asked

    async def _versions(self, tenant: str) -> dict[str, int]:
        keys = [f"{self._prefix}:nodes", f"{self._prefix}:versions:{tenant}"]
        versions: dict[str, int] = {}
        for node, version, left in await self._nodes_script(keys=keys):
            if not node.decode().startswith(self._own):
                versions[node.decode()] = int(version)
                # Who does not renew the lease is missed when it ends.
                self._look_at = min(self._look_at, time.monotonic() + left / 1000 + 0.01)
        self._wake.set()
        return versions

    async def _read_node(self, tenant: str, mirror: _Mirror, node: str) -> None:
        assert self._redis is not None
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hget(f"{self._prefix}:versions:{tenant}", node)
            pipe.hvals(f"{self._prefix}:entries:{tenant}:{node}")
            version, entries = await pipe.execute()
        far = mirror.nodes.get(node)
        if version is None:
            if far is not None and far.version == 0:
                del mirror.nodes[node]
        elif far is not None and int(version) >= far.version:
            self._replace(tenant, mirror, node, decode(join_bytes(entries), node), int(version))

    # -- changing ------------------------------------------------------------------------------------
    def _replace(self, tenant: str, mirror: _Mirror, node: str, rows: Rows, version: int) -> None:
        """What the node holds, all of it. Version 0: it is no more."""
        far = mirror.nodes.setdefault(node, _Far())
        if not far.empty:
            entries = dict(rows.items())
            for conn in [conn for conn in far.entries if conn not in entries]:
                self._put(tenant, mirror, far, conn, None)
            for conn, entry in entries.items():
                self._put(tenant, mirror, far, conn, entry)
        elif rows:  # a node that is new here: nothing to compare with
            far.begin(rows)
            mirror.roster.add_rows(rows)
            self._changed(tenant, rows, True)
        far.version = version
        far.heard = max(far.heard, version)
        if version == 0:
            del mirror.nodes[node]

    def _put(self, tenant: str, mirror: _Mirror, far: _Far, conn: str, entry: Entry | None) -> None:
        before = far.entries.get(conn)
        if before is not None and entry is not None and before.same(entry):
            return
        if before is not None:
            mirror.roster.remove(before)
            del far.entries[conn]
        if entry is not None:
            mirror.roster.add(entry)
            far.entries[conn] = entry
        if before is not None:
            self._changed(tenant, [before], False)
        if entry is not None:
            self._changed(tenant, [entry], True)
