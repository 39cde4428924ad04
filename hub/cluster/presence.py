"""What this process holds, told to the others: a lease in Redis, and every connection under it.

Entries belong to an incarnation of this process, a node. Its lease is renewed every third of its length, on
Redis's clock; when it was lost (Redis came back empty, this process was stopped for too long) the process
goes on as a new node and writes everything again. What came and went is written in one pipeline per
moment, and announced on the bus as records that continue each other, so that a reader notices a lost one.
Nobody ever waits for Redis here. Whoever finds a node whose lease has run out removes it, slice by slice.
Keys: `{prefix}:presence:...`, as documented in the scripts.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from itertools import islice
from typing import Any, NamedTuple

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from hub.cluster.entries import encode, join
from hub.cluster.record import Record
from hub.domain.roster import Entry, Roster

KIND = "presence"
INTERVAL = 0.05  # seconds between two writes
SLICE = 500  # entries in one record, and in one call of a script
SLICES = 8  # in one pipeline
REAPED_AT_ONCE = 40  # slices, each time
SEEN_USERS = 100_000  # per tenant, the latest
SEEN_MS = 30 * 86_400_000
FAULTS = (RedisError, OSError, TimeoutError)

log = structlog.get_logger(__name__)


def script(name: str) -> str:
    return (files("hub.cluster") / "lua" / f"presence_{name}.lua").read_text()


class _Change(NamedTuple):
    conn: str
    entry: Entry
    here: bool


class _Held:
    """What is held of one tenant."""

    __slots__ = ("changes", "entries", "roster", "version")

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.roster = Roster()
        self.changes: dict[str, _Change] = {}  # since the last write, by connection
        self.version = 0  # of what Redis has; 0: nothing


class Presence:
    """`redis` None: there are no others. `announce` publishes; `changed(tenant, entries, came)` hears
    of every connection. `lease` in seconds."""

    def __init__(
        self,
        redis: Redis | None,
        *,
        prefix: str,
        node: str,
        lease: float,
        announce: Callable[[Sequence[Record]], None],
        changed: Callable[[str, Iterable[Entry], bool], None],
    ) -> None:
        self.node = self._before = f"{node}.0"  # and the one before, if there was one
        self._redis = redis
        self._prefix = f"{prefix}:presence"
        self._name = node
        self._lease = lease
        self._announce = announce
        self._changed = changed
        self._held: dict[str, _Held] = {}
        self._dirty: dict[str, None] = {}  # tenants with changes, in order
        self._version = 0
        self._incarnation = 0
        self._leased = False
        self._renewed = -math.inf
        self._wake = asyncio.Event()
        self._failing = False
        self._task: asyncio.Task[None] | None = None
        self._left = False
        if redis is not None:
            self._renew_script = redis.register_script(script("renew"))
            self._write_script = redis.register_script(script("write"))
            self._reap_script = redis.register_script(script("reap"))

    # -- what is here --------------------------------------------------------------------------------
    def roster(self, tenant: str) -> Roster | None:
        """The connections of a tenant on this process; None: none."""
        held = self._held.get(tenant)
        return held.roster if held is not None and held.entries else None

    def put(self, tenant: str, conn: str, entry: Entry) -> None:
        """The connection is here, or is described anew. Never blocks."""
        held = self._held.get(tenant)
        if held is None:
            held = self._held[tenant] = _Held()
        before = held.entries.get(conn)
        if before is not None:
            if before.same(entry):
                return
            held.roster.remove(before)
        held.entries[conn] = entry
        held.roster.add(entry)
        self._note(tenant, held, _Change(conn, entry, True))
        if before is not None:
            self._changed(tenant, [before], False)
        self._changed(tenant, [entry], True)

    def remove(self, tenant: str, conn: str) -> None:
        """The connection is gone. Doing it twice does it once."""
        held = self._held.get(tenant)
        entry = held.entries.pop(conn, None) if held is not None else None
        if held is not None and entry is not None:
            held.roster.remove(entry)
            self._note(tenant, held, _Change(conn, entry, False))
            self._changed(tenant, [entry], False)

    def _note(self, tenant: str, held: _Held, change: _Change) -> None:
        if self._redis is not None and not self._left:
            held.changes[change.conn] = change
            self._dirty[tenant] = None
            self._wake.set()
        elif not held.entries:
            del self._held[tenant]

    # -- life ----------------------------------------------------------------------------------------
    async def open(self) -> None:
        """Starts telling the others. Does not wait for Redis."""
        if self._redis is not None and self._task is None:
            self._task = asyncio.create_task(self._run(), name="presence")

    async def leave(self) -> None:
        """Everything of this node is removed, at once and for good. Waits for Redis a third of a lease."""
        if self._task is None or self._left:
            return
        self._left = True
        self._task.cancel()
        await asyncio.wait([self._task])
        if self._leased:
            written = [tenant for tenant, held in self._held.items() if held.version]
            # Made before anything is awaited: meanwhile the last of a tenant's connections may leave.
            gone = [self._record(tenant, {}, (), gone=True) for tenant in written]
            try:
                await self._ask(self._renew(0))
                self._announce(gone)
                await self._ask(self._reap())
            except FAULTS as error:
                log.info("left without a word; the lease ends by itself", action="presence.leave_failed")
                self._failed(error)

    async def _run(self) -> None:
        pause = 0.0
        while not self._left:  # redis-py on Python 3.11 may swallow a cancellation (asyncio.wait_for)
            renewal = self._renewed + self._lease / 3
            if not self._dirty or not self._leased:
                try:
                    async with asyncio.timeout(max(0.0, renewal - time.monotonic())):
                        await self._wake.wait()
                except TimeoutError:
                    pass
            self._wake.clear()
            try:
                await self._ask(self._turn(time.monotonic() >= renewal or not self._leased))
            except FAULTS as error:
                self._failed(error)
                pause = min(1.0, self._lease / 10)
            else:
                pause = INTERVAL
                self._recovered()
            await asyncio.sleep(pause)

    async def _turn(self, renewing: bool) -> None:
        if renewing:
            await self._keep()
            await self._reap()
        if self._leased and self._dirty:
            await self._write()

    async def _ask(self, work: Awaitable[Any]) -> None:
        async with asyncio.timeout(self._lease / 3):
            await work

    def _failed(self, error: BaseException) -> None:
        if self._leased and time.monotonic() - self._renewed > self._lease:
            self._lose()  # whatever is tried now comes too late
        if not self._failing:
            self._failing = True
            reason = f"{type(error).__name__}: {error}"
            log.warning("presence is not shared at the moment", action="presence.away", error=reason)

    def _recovered(self) -> None:
        if self._failing:
            self._failing = False
            log.info("presence is shared again", action="presence.back", node=self.node)

    # -- the lease -----------------------------------------------------------------------------------
    async def _renew(self, lease: float, *, begin: bool = False) -> bool:
        args: list[str | int] = [self.node, int(lease * 1000), "begin" if begin else ""]
        return bool(await self._renew_script(keys=[f"{self._prefix}:nodes"], args=args))

    async def _keep(self) -> None:
        asked = time.monotonic()
        if self._leased and not await self._renew(self._lease):
            log.info("the lease was lost, going on as a new node", action="presence.lost", node=self.node)
            self._lose()
        if not self._leased:
            # By its own clock it may be gone too early; then Redis shows both.
            ended: list[str | int] = [self._before, 0, ""]
            await self._renew_script(keys=[f"{self._prefix}:nodes"], args=ended)
            await self._renew(self._lease, begin=True)
            self._leased = True
        self._renewed = asked

    def _lose(self) -> None:
        """From now on another node, which has written nothing yet."""
        self._leased = False
        self._incarnation += 1
        self._before = self.node
        self.node = f"{self._name}.{self._incarnation}"
        for tenant, held in list(self._held.items()):
            held.version = 0
            held.changes = {conn: _Change(conn, entry, True) for conn, entry in held.entries.items()}
            if not held.entries:
                del self._held[tenant]
        self._dirty = dict.fromkeys(self._held)

    async def _reap(self) -> None:
        for _ in range(REAPED_AT_ONCE):
            if not await self._reap_script(
                keys=[f"{self._prefix}:nodes"], args=[self._prefix, SLICE, SEEN_USERS, SEEN_MS]
            ):
                return

    # -- writing -------------------------------------------------------------------------------------
    async def _write(self) -> None:
        """Some slices of what has changed, in one pipeline."""
        assert self._redis is not None
        taken: list[tuple[str, list[_Change], Record]] = []
        async with self._redis.pipeline(transaction=False) as pipe:
            for tenant, changes in self._slices():
                comes = {change.conn: encode(change.conn, change.entry) for change in changes if change.here}
                record = self._record(tenant, comes, [change.conn for change in changes if not change.here])
                taken.append((tenant, changes, record))
                await self._write_script(*self._arguments(tenant, comes, changes), client=pipe)
            answers: list[int] = await pipe.execute()
        if -1 in answers:
            self._renewed = -math.inf  # asks for the lease again, and learns that it is lost
            return
        for (tenant, changes, record), left in zip(taken, answers, strict=True):
            self._written(tenant, changes, record.meta["v"], left)
        self._announce([record for _, _, record in taken])

    def _slices(self) -> list[tuple[str, list[_Change]]]:
        slices: list[tuple[str, list[_Change]]] = []
        for tenant in self._dirty:
            changes = iter(self._held[tenant].changes.values())
            while len(slices) < SLICES and (slice := list(islice(changes, SLICE))):
                slices.append((tenant, slice))
            if len(slices) == SLICES:
                break
        return slices

    def _record(
        self, tenant: str, comes: Mapping[str, str], goes: Sequence[str], *, gone: bool = False
    ) -> Record:
        """What the others are told. It leads from version `a` (0: from nothing) to version `v`."""
        self._version += 1
        held = self._held[tenant]
        meta = {"p": self.node, "a": held.version, "v": self._version, "gone": gone}
        held.version = self._version
        body = {"+": join(comes.values()), "-": goes}
        return Record(tenant=tenant, kind=KIND, meta=meta, body=orjson.dumps(body))

    def _arguments(
        self, tenant: str, comes: Mapping[str, str], changes: Sequence[_Change]
    ) -> tuple[list[str], list[Any]]:
        """KEYS and ARGV of the script that writes."""
        goes = [change.conn for change in changes if not change.here]
        seen = {change.entry.user for change in changes if not change.here}
        prefix, node = self._prefix, self.node
        keys = [f"{prefix}:nodes", f"{prefix}:held:{node}", f"{prefix}:versions:{tenant}"]
        keys += [f"{prefix}:entries:{tenant}:{node}", f"{prefix}:seen:{tenant}"]
        counts = [len(comes), len(goes), len(seen), SEEN_USERS, SEEN_MS]
        pairs = [text for pair in comes.items() for text in pair]
        return keys, [node, tenant, self._version, *counts, *pairs, *goes, *seen]

    def _written(self, tenant: str, changes: Sequence[_Change], version: int, left: int) -> None:
        held = self._held[tenant]
        for change in changes:
            if held.changes.get(change.conn) is change:
                del held.changes[change.conn]
        if left == 0 and held.version == version:
            held.version = 0
        if not held.changes:
            self._dirty.pop(tenant, None)
            if not held.entries and held.version == 0:
                del self._held[tenant]
