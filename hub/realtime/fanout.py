"""Rooms and connections, indexed both ways, and the writing of a frame to rooms.

Room keys are strings that hold their tenant. Everything costs what it touches: joining O(1), dropping a
connection O(its rooms), publishing O(receivers). A big room keeps its list of receivers until somebody
comes or goes. This file does not know what a room means or who may be in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from hub.realtime.connection import Connection
from hub.realtime.frames import Frame
from hub.realtime.outflow import Plan, Tick

SMALL = 4  # rooms up to this size are written to one by one


class _Room:
    __slots__ = ("key", "members", "plan")

    def __init__(self, key: str) -> None:
        self.key = key
        self.members: dict[Connection, None] = {}
        self.plan: Plan | None = None


class Fanout:
    """The rooms of one process. A room with one connection is that connection: most rooms are a user's."""

    def __init__(self, tick: Tick | None = None) -> None:
        self.tick = tick or Tick()
        self.joined = 0  # since the start
        self._rooms: dict[str, _Room | Connection] = {}

    # -- membership ----------------------------------------------------------------------------------
    def join(self, conn: Connection, key: str) -> None:
        room = self._rooms.get(key)
        if room is None:
            self._rooms[key] = conn
            conn.rooms += (key,)
            self.joined += 1
            return
        if not isinstance(room, _Room):
            if room is conn:
                return
            alone, room = room, _Room(next(own for own in room.rooms if own == key))
            self._rooms[room.key] = room
            room.members[alone] = None
        elif conn in room.members:
            return
        room.members[conn] = None
        room.plan = None
        conn.rooms += (room.key,)  # the same string for all members
        self.joined += 1

    def leave(self, conn: Connection, key: str) -> None:
        if self._remove(conn, key):
            conn.rooms = tuple(other for other in conn.rooms if other != key)

    def drop(self, conn: Connection) -> None:
        """The connection leaves all its rooms."""
        rooms, conn.rooms = conn.rooms, ()
        for key in rooms:
            self._remove(conn, key)

    def _remove(self, conn: Connection, key: str) -> bool:
        room = self._rooms.get(key)
        if room is conn:
            del self._rooms[key]
            return True
        if not isinstance(room, _Room) or conn not in room.members:
            return False
        del room.members[conn]
        room.plan = None
        if not room.members:
            del self._rooms[key]
        return True

    def members(self, key: str) -> Collection[Connection]:
        """The connections in a room, as they are now (do not keep)."""
        room = self._rooms.get(key)
        return () if room is None else _members(room)

    def hears(self, keys: Iterable[str]) -> bool:
        """Whether somebody is in one of these rooms."""
        return not self._rooms.keys().isdisjoint(keys)

    def rooms(self) -> Collection[str]:
        """The keys of all rooms somebody is in."""
        return self._rooms.keys()

    # -- publishing ----------------------------------------------------------------------------------
    def publish(
        self, frame: Frame, rooms: Collection[str], exclude: Collection[str] = (), skip: str | None = None
    ) -> int:
        """Send to every connection in any of `rooms` once, but to none in `exclude` nor to the connection
        `skip`. Returns how many. What is published in one turn of the loop is written at its end."""
        found = [room for key in rooms if (room := self._rooms.get(key)) is not None]
        if not found:
            return 0
        if len(found) == 1 and not exclude and skip is None:
            return self._publish_to(found[0], frame)
        without = [_members(room) for key in exclude if (room := self._rooms.get(key)) is not None]
        receivers: dict[Connection, None] = {}
        for room in found:
            receivers |= dict.fromkeys(_members(room))
        for members in without:
            for conn in members:
                receivers.pop(conn, None)
        if skip is not None:
            receivers = {conn: None for conn in receivers if conn.id != skip}
        self.send(frame, receivers)
        return len(receivers)

    def _publish_to(self, room: _Room | Connection, frame: Frame) -> int:
        if not isinstance(room, _Room):
            room.send(frame)
            return 1
        members = room.members
        if len(members) <= SMALL:
            for conn in tuple(members):  # sending may end one, which leaves
                conn.send(frame)
        else:
            plan = room.plan
            if plan is None or plan.epoch != self.tick.epoch:
                plan = room.plan = self._plan(members)
            self.tick.publish(plan, frame)
        return len(members)

    def send(self, frame: Frame, receivers: Mapping[Connection, None]) -> None:
        """Send to these connections, each once."""
        if len(receivers) <= SMALL:
            for conn in tuple(receivers):
                conn.send(frame)
        else:
            self.tick.publish(self._plan(receivers), frame)

    def _plan(self, members: Iterable[Connection]) -> Plan:
        plan = Plan(self.tick.epoch)
        groups, others = plan.groups, plan.others
        for conn in members:
            link = conn.direct
            if link is None:
                others.append(conn)
            elif (group := groups.get(conn.profile)) is not None:
                group.append(link)
            else:
                groups[conn.profile] = [link]
        return plan


def _members(room: _Room | Connection) -> Collection[Connection]:
    return room.members if isinstance(room, _Room) else (room,)
