"""Rooms, connections and the joining of writes, on transports that only write down."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import structlog

from hub.realtime.connection import Connection
from hub.realtime.fanout import Fanout
from hub.realtime.frames import Frame, Profile
from hub.realtime.outflow import HIGH_WATER, Outflow


class Paper:
    """A transport: every write on its own line."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.buffered = 0
        self.aborted = False
        self.broken = False

    def write(self, data: bytes) -> None:
        if self.broken:
            raise RuntimeError("broken transport")
        self.writes.append(data)

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def abort(self) -> None:
        self.aborted = True


class Lines(Outflow):
    """A link whose frames can be told apart: SSE without chunks."""

    __slots__ = ()

    def send(self, text: str) -> None:
        self.push(text.encode())


ended: list[tuple[str, bool]] = []


def connect(fanout: Fanout, name: str, *rooms: str, **options: Any) -> tuple[Connection, Paper]:
    paper = Paper()
    link = Lines(fanout.tick, paper)  # type: ignore[arg-type]
    conn = Connection(
        name,
        link,
        options.pop("profile", Profile("sse", chunked=False)),
        fanout.tick,
        lambda conn, code, reason, reconnect: ended.append((conn.id, reconnect)),
        **options,
    )
    for room in rooms:
        fanout.join(conn, room)
    return conn, paper


def frame(name: str, **fields: Any) -> Frame:
    return Frame(**({"type": name, "wire": name, "inbox": False, "body": b"1", "cursor": None} | fields))


def heard(paper: Paper) -> list[str]:
    """The names of the events, in order."""
    lines = b"".join(paper.writes).decode().split("\n")
    return [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]


async def turn() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_a_frame_reaches_each_member_of_any_of_the_rooms_once() -> None:
    fanout = Fanout()
    crowd = [connect(fanout, f"c{n}", "a", *(["b"] if n % 2 else [])) for n in range(20)]
    _, stranger = connect(fanout, "s", "c")
    assert fanout.publish(frame("x"), ["a", "b", "nobody"]) == 20
    assert fanout.publish(frame("y"), ["nobody"]) == 0
    await turn()
    assert all(heard(paper) == ["x"] for _, paper in crowd)
    assert stranger.writes == []


async def test_excluded_rooms_and_the_skipped_connection_get_nothing() -> None:
    fanout = Fanout()
    _, ana = connect(fanout, "ana", "all", "user:1")
    _, ana_too = connect(fanout, "ana2", "all", "user:1")
    _, bob = connect(fanout, "bob", "all", "user:2")
    _, eve = connect(fanout, "eve", "all", "user:3")
    assert fanout.publish(frame("x"), ["all"], ["user:1", "user:9"], skip="bob") == 1
    assert fanout.publish(frame("y"), ["all"], skip="ana") == 3
    await turn()
    assert [heard(paper) for paper in (ana, ana_too, bob, eve)] == [[], ["y"], ["y"], ["x", "y"]]


async def test_frames_of_one_turn_are_one_write_for_each_and_the_same_bytes_for_all() -> None:
    fanout = Fanout()
    crowd = [connect(fanout, f"c{n}", "a") for n in range(50)]
    for name in ("x", "y", "z"):
        fanout.publish(frame(name), ["a"])
    assert all(paper.writes == [] for _, paper in crowd)
    await turn()
    first = crowd[0][1].writes
    assert len(first) == 1
    assert heard(crowd[0][1]) == ["x", "y", "z"]
    assert all(paper.writes[0] is first[0] and len(paper.writes) == 1 for _, paper in crowd)


async def test_nothing_overtakes_whatever_way_it_takes() -> None:
    """Big rooms, small rooms, several rooms, exclusions and direct writes in one turn, in every order."""
    dice = random.Random(7)
    for _ in range(50):
        fanout = Fanout()
        crowd = [connect(fanout, f"c{n}", "big", *(["small"] if n < 3 else [])) for n in range(10)]
        conn = crowd[0][0]
        expected: list[list[str]] = [[] for _ in crowd]
        for number in range(12):
            name = f"e{number}"
            match dice.randrange(6):
                case 0:
                    fanout.publish(frame(name), ["big"])
                    hearers = range(10)
                case 1:
                    fanout.publish(frame(name), ["small"])
                    hearers = range(3)
                case 2:
                    fanout.publish(frame(name), ["small", "big"], skip="c9")
                    hearers = range(9)
                case 3:
                    fanout.publish(frame(name), ["big"], ["small"])
                    hearers = range(3, 10)
                case 4:
                    conn.link.send(f"event: {name}\n\n")
                    hearers = range(1)
                case _:
                    conn.send(frame(name))
                    hearers = range(1)
            for index in hearers:
                expected[index].append(name)
            if dice.random() < 0.1:
                await turn()
        await turn()
        assert [heard(paper) for _, paper in crowd] == expected


async def test_who_comes_in_the_same_turn_has_missed_what_was_published_before() -> None:
    fanout = Fanout()
    crowd = [connect(fanout, f"c{n}", "a") for n in range(10)]
    fanout.publish(frame("x"), ["a"])
    _, late = connect(fanout, "late", "a")
    fanout.publish(frame("y"), ["a"])
    await turn()
    assert heard(late) == ["y"]
    assert heard(crowd[1][1]) == ["x", "y"]


async def test_who_goes_in_the_same_turn_gets_what_was_published_before() -> None:
    fanout = Fanout()
    crowd = [connect(fanout, f"c{n}", "a") for n in range(10)]
    fanout.publish(frame("x"), ["a"])
    fanout.leave(crowd[0][0], "a")
    fanout.publish(frame("y"), ["a"])
    await turn()
    assert heard(crowd[0][1]) == ["x"]
    assert heard(crowd[1][1]) == ["x", "y"]


async def test_rooms_are_indexed_both_ways_and_empty_ones_vanish() -> None:
    fanout = Fanout()
    conn, _ = connect(fanout, "c", "a", "b", "a")
    other, _ = connect(fanout, "d", "b")
    assert conn.rooms == ("a", "b")
    assert list(fanout.members("b")) == [conn, other]
    fanout.leave(conn, "nowhere")
    fanout.leave(conn, "a")
    assert conn.rooms == ("b",)
    assert set(fanout.rooms()) == {"b"}
    fanout.drop(conn)
    fanout.drop(conn)
    assert conn.rooms == ()
    assert list(fanout.members("b")) == [other]
    fanout.drop(other)
    assert not fanout.rooms()
    assert len(fanout.members("b")) == 0


async def test_a_room_with_one_member_is_a_room_like_any_other() -> None:
    fanout = Fanout()
    (ana, to_ana), (ben, to_ben) = connect(fanout, "ana", "x/user:1"), connect(fanout, "ben", "x/user:2")
    fanout.join(ana, "x/user:1")
    assert list(fanout.members("x/user:1")) == [ana]
    assert fanout.publish(frame("one"), ["x/user:1", "x/user:2", "x/user:3"], exclude=["x/user:2"]) == 1
    assert fanout.publish(frame("two"), ["x/user:1", "x/user:2"]) == 2
    fanout.leave(ben, "x/user:1")  # where it never was
    fanout.join(ben, "x/user:1")
    assert list(fanout.members("x/user:1")) == [ana, ben]
    fanout.drop(ana)
    assert list(fanout.members("x/user:1")) == [ben]
    assert (ana.rooms, ben.rooms) == ((), ("x/user:2", "x/user:1"))
    await turn()
    assert [heard(paper) for paper in (to_ana, to_ben)] == [["one", "two"], ["two"]]


async def test_types_filter_events_and_let_signals_through() -> None:
    fanout = Fanout()
    crowd = [connect(fanout, f"c{n}", "a", types=("booking.*",) if n % 2 else None) for n in range(10)]
    for shown in (frame("booking.created"), frame("payment.due"), Frame.signal("heartbeat")):
        fanout.publish(shown, ["a"])
    await turn()
    assert heard(crowd[0][1]) == ["booking.created", "payment.due", "heartbeat"]
    assert heard(crowd[1][1]) == ["booking.created", "heartbeat"]
    crowd[1][0].types = None
    fanout.publish(frame("payment.due"), ["a"])
    crowd[1][0].types = ()
    fanout.publish(frame("payment.due"), ["a"])
    await turn()
    assert heard(crowd[1][1]) == ["booking.created", "heartbeat", "payment.due"]


async def test_what_is_sent_while_held_comes_after_the_replay_and_in_order() -> None:
    fanout = Fanout()
    crowd = [connect(fanout, f"c{n}", "a") for n in range(10)]
    conn, paper = crowd[0]
    fanout.publish(frame("before"), ["a"])
    conn.hold()
    fanout.publish(frame("live1"), ["a"])
    conn.send_now(frame("past1"))
    await turn()
    fanout.publish(frame("live2"), ["a"])
    conn.send_now(frame("past2"))
    conn.release()
    fanout.publish(frame("live3"), ["a"])
    conn.hold()
    conn.release()
    await turn()
    assert heard(paper) == ["before", "past1", "past2", "live1", "live2", "live3"]
    assert heard(crowd[1][1]) == ["before", "live1", "live2", "live3"]


async def test_what_was_published_just_before_the_release_comes_last() -> None:
    fanout = Fanout()
    crowd = [connect(fanout, f"c{n}", "a") for n in range(10)]
    conn, paper = crowd[0]
    conn.hold()
    fanout.publish(frame("live1"), ["a"])
    await turn()
    fanout.publish(frame("live2"), ["a"])
    conn.release()
    await turn()
    assert heard(paper) == ["live1", "live2"]


async def test_a_change_of_profile_counts_from_that_moment() -> None:
    fanout = Fanout()
    crowd = [connect(fanout, f"c{n}", "a") for n in range(10)]
    conn, paper = crowd[0]
    fanout.publish(frame("x", cursor="e:1"), ["a"])
    conn.profile = Profile("sse", chunked=True)
    fanout.publish(frame("y", cursor="e:2"), ["a"])
    await turn()
    assert b"".join(paper.writes) == b"id: e:1\nevent: x\ndata: 1\n\n1a\r\nid: e:2\nevent: y\ndata: 1\n\n\r\n"


async def test_a_closed_connection_gets_what_was_sent_before_and_nothing_after() -> None:
    fanout = Fanout()
    crowd = [connect(fanout, f"c{n}", "a") for n in range(10)]
    conn, paper = crowd[0]
    fanout.publish(frame("x"), ["a"])
    conn.close("why", "because", reconnect=True)
    conn.close("why", "because", reconnect=False)
    fanout.publish(frame("y"), ["a"])
    conn.send_now(frame("z"))
    await turn()
    assert heard(paper) == ["x"]
    assert ended.pop() == ("c0", True)
    assert conn.closed
    assert not await conn.drained()


async def test_one_broken_transport_costs_the_others_nothing() -> None:
    fanout = Fanout()
    crowd = [connect(fanout, f"c{n}", "a") for n in range(10)]
    crowd[3][1].broken = crowd[4][1].broken = True
    with structlog.testing.capture_logs() as lines:
        fanout.publish(frame("x"), ["a"])
        await turn()
        crowd[4][0].send(frame("y"))
        fanout.publish(frame("y"), ["a"])
        await turn()
    assert [line["action"] for line in lines] == ["connection.fail"] * 2
    assert crowd[3][1].aborted
    assert all(heard(paper) == ["x", "y"] for n, (_, paper) in enumerate(crowd) if n not in (3, 4))


async def test_a_full_buffer_crowds_a_connection_and_a_fuller_one_ends_it() -> None:
    fanout = Fanout()
    crowd = [connect(fanout, f"c{n}", "a") for n in range(10)]
    conn, paper = crowd[0]
    link = conn.link.outflow
    assert link is not None
    fanout.publish(frame("w"), ["a"])
    await turn()
    paper.buffered = HIGH_WATER + 1
    link.pause_writing()
    assert conn.crowded
    fanout.publish(frame("x"), ["a"])
    await turn()
    assert heard(paper) == ["w", "x"]  # crowded, but within its bound
    waiting = asyncio.ensure_future(conn.drained())
    await turn()
    assert not waiting.done()
    link.resume_writing()
    assert await waiting
    fanout.publish(frame("y"), ["a"])
    await turn()
    link.pause_writing()
    paper.buffered = fanout.tick.max_bytes + 1
    waiting = asyncio.ensure_future(conn.drained())
    await turn()
    with structlog.testing.capture_logs() as lines:
        fanout.publish(frame("z"), ["a"])
        await turn()
    assert [line["action"] for line in lines] == ["connection.cut"]
    assert paper.aborted
    assert heard(paper) == ["w", "x", "y"]
    assert await waiting is False
    assert heard(crowd[1][1]) == ["w", "x", "y", "z"]


async def test_a_held_connection_is_bounded() -> None:
    fanout = Fanout()
    conn, _ = connect(fanout, "c", "a")
    conn.hold()
    for number in range(1000):
        fanout.publish(frame(f"e{number}"), ["a"])
    assert not conn.closed
    fanout.publish(frame("one too many"), ["a"])
    assert conn.closed
    assert ended.pop() == ("c", True)


async def test_frames_that_a_profile_does_not_show_write_nothing() -> None:
    fanout = Fanout()
    quiet = Profile("sse", dialect="message")
    crowd = [connect(fanout, f"c{n}", "a", profile=quiet) for n in range(10)]
    fanout.publish(frame("x"), ["a"])
    crowd[0][0].send(frame("y"))
    await turn()
    assert all(paper.writes == [] for _, paper in crowd)
