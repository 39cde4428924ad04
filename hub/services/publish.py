"""From a committed event to every screen: records for the bus, frames for the rooms.

`events`, `signal` and `order` send; `deliver` is what the bus calls, in log order, in every process. An
envelope is encoded once, here; nobody below looks into it. This file knows no connection and no SQL beyond
the one read that fills holes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from typing import Any, Protocol

from hub.cluster.bus import Bus
from hub.cluster.record import Record
from hub.domain.access import ADMIN, room_key
from hub.domain.delivery import DeliveryUpdate
from hub.domain.events import Event
from hub.realtime.fanout import Fanout
from hub.realtime.frames import Frame
from hub.realtime.replay import Ring
from hub.services import dialects
from hub.services.wire import dumps, envelope, iso, loads
from hub.store.collapse import Replaced


class Log(Protocol):
    async def range(self, tenant: str, after: int, upto: int, *, limit: int) -> list[Event]: ...


FILL_PAGE = 500


def record_of(event: Event) -> Record:
    """What the bus carries for an event: the envelope, and what is needed to route it."""
    meta: dict[str, Any] = {"t": event.type, "w": event.wire, "i": event.inbox, "r": event.rooms}
    if event.exclude:
        meta["x"] = event.exclude
    if event.expires_at:
        meta["e"] = event.expires_at.timestamp()
    return Record(event.tenant, "event", event.offset, event.epoch, meta, dumps(envelope(event)))


def frame_of(record: Record) -> Frame:
    """The frame of an event's record."""
    cursor = f"{record.epoch}:{record.offset}" if record.offset else None
    meta = record.meta
    render = partial(dialects.event, record.body)
    return Frame(meta["t"], meta["w"], meta["i"], record.body, cursor, render)


class Past:
    """One recent event as the ring keeps it. Its frame is made for the first who is to have it."""

    __slots__ = ("_frame", "_record")

    def __init__(self, record: Record) -> None:
        self._record = record
        self._frame: Frame | None = None

    @property
    def frame(self) -> Frame:
        if self._frame is None:
            self._frame = frame_of(self._record)
        return self._frame

    def is_for(self, rooms: Set[str], now: float) -> bool:
        """Whether a connection in these rooms of its tenant should have it, at `now` in Unix seconds."""
        meta = self._record.meta
        expires: float | None = meta.get("e")
        if expires is not None and expires <= now:
            return False
        return not rooms.isdisjoint(meta["r"]) and rooms.isdisjoint(meta.get("x", ()))


class Publish:
    """Sends to the bus, and shows what the bus brings."""

    def __init__(self, fanout: Fanout, ring: Ring[Past], log: Log) -> None:
        self._fanout = fanout
        self._ring = ring
        self._log = log
        self._bus: Bus | None = None
        self._presence: Callable[[Record], None] | None = None
        self._recount: Callable[[Sequence[str]], None] | None = None
        self._orders: dict[str, Callable[[Mapping[str, Any]], None]] = {}
        self.delivered: Counter[str] = Counter()  # since the start, by kind of record

    def attach(self, bus: Bus, presence: Callable[[Record], None] | None = None) -> None:
        """The bus and this object need each other; the bus comes second. `presence` gets its records."""
        self._bus = bus
        self._presence = presence

    # -- out -----------------------------------------------------------------------------------------
    def events(self, events: Sequence[Event]) -> None:
        """Publish what was committed, in order. Never blocks, never fails: SQL is the truth."""
        if self._bus is not None:
            self._bus.publish([record_of(event) for event in events])

    def signal(
        self,
        tenant: str,
        rooms: Sequence[str],
        name: str,
        *args: Any,
        skip: str | None = None,
        recount: bool = False,
    ) -> None:
        """Tell everyone in `rooms` now; not stored. `skip` is a connection that already knows. `recount`:
        what is unread of each of them has changed, and they are told that afterwards."""
        if self._bus is not None:
            meta: dict[str, Any] = {"n": name, "r": list(rooms)} | ({"s": skip} if skip else {})
            if recount:
                meta["u"] = True
            body = dumps(list(args))
            self._bus.publish(
                [Record(tenant=tenant, kind="signal", offset=0, epoch="", meta=meta, body=body)]
            )

    def order(self, name: str, what: Mapping[str, Any] | None = None) -> None:
        """Tell every process, this one first, to do something; may be lost like a signal."""
        if self._bus is not None:
            record = Record(tenant="", kind="control", meta={"o": name}, body=dumps(dict(what or {})))
            self._bus.publish([record])

    def on_order(self, name: str, do: Callable[[Mapping[str, Any]], None]) -> None:
        """What this process does when it is told so by that name. `do` must not block."""
        self._orders[name] = do

    def on_recount(self, do: Callable[[Sequence[str]], None]) -> None:
        """Who tells everybody in these rooms (keys) how many are unread. `do` must not block."""
        self._recount = do

    def announce(self, updates: Sequence[DeliveryUpdate]) -> None:
        """`delivery:update` to the person concerned and to the tenant's admins."""
        for update in updates:
            payload = {
                "id": update.id,
                "notificationId": update.notification,
                "userId": update.user,
                "channel": update.channel,
                "status": update.status,
                "attempts": update.attempts,
                "error": update.error,
                "provider": update.provider,
                "maybeDuplicate": update.maybe_duplicate,
                "at": iso(update.at),
            }
            self.signal(update.tenant, [f"user:{update.user}", f"role:{ADMIN}"], "delivery:update", payload)

    def replaced(self, older: Sequence[Replaced]) -> None:
        """Events that have left the inboxes of rooms because newer ones have taken their place."""
        for one in older:
            if one.rooms:
                self.signal(one.tenant, one.rooms, "notification:deleted", {"id": one.id}, recount=True)
            self.announce(one.cancelled)

    # -- in ------------------------------------------------------------------------------------------
    def hears(self, tenant: str, meta: Mapping[str, Any]) -> bool:
        """Whether somebody here is in a room of an event or a signal. Of most that are for one person, and in
        most processes, nobody is; the bus asks this before it makes a record of one."""
        here, rooms = self._fanout.rooms(), meta["r"]
        if len(rooms) == 1:
            return room_key(tenant, rooms[0]) in here
        return any(room_key(tenant, room) in here for room in rooms)

    def deliver(self, record: Record) -> None:
        """Called by the bus: events of a tenant in log order, each once; and orders."""
        self.delivered[record.kind] += 1
        if record.kind == "control":
            if (do := self._orders.get(record.meta.get("o", ""))) is not None:
                do(loads(record.body))
            return  # an order that is not known here is a newer process's
        if record.kind == "presence":
            if self._presence is not None:
                self._presence(record)
            return
        tenant, meta = record.tenant, record.meta
        rooms = [room_key(tenant, room) for room in meta["r"]]
        exclude = [room_key(tenant, room) for room in meta["x"]] if "x" in meta else ()
        past = None
        if record.ordered:
            past = Past(record)
            self._ring.remember(tenant, record.offset, past)
        if not self._fanout.hears(rooms):
            return
        if record.kind == "signal":
            args = [dumps(arg) for arg in loads(record.body)]
            self._fanout.publish(Frame.signal(meta["n"], args), rooms, skip=meta.get("s"))
            if meta.get("u") and self._recount is not None:
                self._recount(rooms)
        else:
            self._fanout.publish(past.frame if past else frame_of(record), rooms, exclude)

    async def fill(self, tenant: str, after: int, upto: int) -> list[Record]:
        """What the bus has lost, from SQL: offsets after+1 to `upto`, at most a page."""
        return [record_of(event) for event in await self._log.range(tenant, after, upto, limit=FILL_PAGE)]
