"""F14: a flood of handshakes, of silent and slow connections, of slow bodies, and of events.

Caps hold, all of it is gone within ten seconds, and legal clients from elsewhere come in as ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.buses import eventually
from tests.chaos.apart import apart
from tests.chaos.scale import LONG, lag_p99, p99_ms, patience, report, scaled
from tests.chaos.stock import stock
from tests.chaos.targets import under_fire
from tests.chaos.wires import Client, Refused
from tests.realtime import Raw

FLOOD = scaled(200, 2000)
CAP = scaled(50, 500)  # handshakes of one address
SLOW = scaled(40, 400)
EVENTS = 20_000
GONE_SECONDS = 10.0
CONNECT_TIMEOUT = scaled(1.0, 5.0)
ATTACKER, CITIZEN = "203.0.113.7", "198.51.100.1"
# Tests come through a trusted proxy, so that they may say where they come from.
PROXIED = {"HUB_TRUSTED_PROXIES": "127.0.0.1"}
SPARE_FILES = 20  # connections to the database that are kept
VISITS = scaled(20, 300)  # of legal clients, from a process of their own
UNNOTICED_MS = 100.0  # to get in; the flood is made on the same machine

pytestmark = patience(60)


class Mute(Client):
    """Opens a transport and says no CONNECT. `live` when it was let in."""

    def message(self, wire: bytes) -> None:
        if wire.startswith(b"0") and not self.live.done():
            self.live.set_result(None)


def require_fair(took: Sequence[float], calm: Sequence[float]) -> None:
    """Legal clients get in about as fast as without the flood. Only where the machine is for this alone."""
    assert not LONG or p99_ms(took) <= max(2 * p99_ms(calm), UNNOTICED_MS), (p99_ms(took), p99_ms(calm))


async def let_in(clients: Sequence[Client]) -> list[Refused]:
    """Those who were refused."""
    answers = await asyncio.gather(*(one.live for one in clients), return_exceptions=True)
    return [answer for answer in answers if isinstance(answer, Refused)]


async def test_a_flood_of_handshakes_fills_only_its_own_address(tmp_path: Path) -> None:
    env = {"HUB_HANDSHAKES_PER_ADDRESS": str(CAP), "HUB_CONNECT_TIMEOUT": str(CONNECT_TIMEOUT), **PROXIED}
    async with under_fire(tmp_path, **env) as target, apart(target, CITIZEN) as legal:
        calm, files = await legal.visit(VISITS), target.files
        before = await target.lateness()
        flood = [Mute(address=ATTACKER) for _ in range(FLOOD)]
        meanwhile = asyncio.create_task(legal.visit(VISITS))
        for one in flood:
            await one.begin(target.port)
        refused = await let_in(flood)
        assert FLOOD - len(refused) <= CAP + 1
        for answer in refused:
            assert str(answer).startswith("HTTP/1.1 429 ")
            assert "too_many_connections" in str(answer)
            assert "Retry-After:" in str(answer)
        took = await meanwhile
        gone = await target.until_files(files + SPARE_FILES, CONNECT_TIMEOUT + GONE_SECONDS)
        again = await Mute(address=ATTACKER).open(target.port)
        report(
            "F14 handshakes",
            sent=FLOOD,
            let_in=FLOOD - len(refused),
            gone_after_s=round(gone, 1),
            loop_late_p99_s=lag_p99(before, await target.lateness()),
            legal_p99_ms=p99_ms(took),
            without_flood_ms=p99_ms(calm),
        )
        require_fair(took, calm)
        for one in [*flood, again]:
            one.close()
        target.require_clean_log()


async def test_silent_and_slow_connections_are_hung_up_on(tmp_path: Path) -> None:
    env = {"HUB_HEAD_TIMEOUT": "1", "HUB_BODY_TIMEOUT": "1", **PROXIED}
    async with under_fire(tmp_path, **env) as target, apart(target, CITIZEN) as legal:
        calm, files = await legal.visit(VISITS), target.files
        silent = [await Raw.open(target.port) for _ in range(SLOW)]
        heads = [await Raw.open(target.port) for _ in range(SLOW)]
        bodies = [await Raw.open(target.port) for _ in range(SLOW)]
        for one in heads:
            await one.write(b"GET /livez HTTP/1.1\r\nHost: hub\r\nX-")
        key = target.http.headers["Authorization"]
        for one in bodies:
            await one.write(
                f"POST /notifications HTTP/1.1\r\nHost: hub\r\nAuthorization: {key}\r\n"
                'Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"'.encode()
            )

        async def drip() -> None:
            while True:
                for one in [*heads, *bodies]:
                    with suppress(OSError):
                        await one.write(b"x")
                await asyncio.sleep(0.1)

        dripping = asyncio.create_task(drip())
        took = await legal.visit(VISITS)
        gone = await target.until_files(files + SPARE_FILES, GONE_SECONDS)
        dripping.cancel()
        assert {await one.read_all() for one in silent} == {b""}
        for one in [*heads, *bodies]:
            said = await one.read_all()
            assert not said or said.startswith(b"HTTP/1.1 408 ")
        report(
            "F14 slow",
            connections=3 * SLOW,
            gone_after_s=round(gone, 1),
            legal_p99_ms=p99_ms(took),
            without_them_ms=p99_ms(calm),
        )
        require_fair(took, calm)
        for one in [*silent, *heads, *bodies]:
            one.close()
        target.require_clean_log()


async def test_a_flood_of_events_is_slowed_down_and_then_cut(tmp_path: Path) -> None:
    env = {"RATE_LIMIT_MAX_REQUESTS": "10", **PROXIED}
    async with under_fire(tmp_path, **env) as target, apart(target, CITIZEN) as legal:
        calm = await legal.visit(VISITS)
        flooder = await Client(target.token(), address=ATTACKER).open(target.port)
        meanwhile = asyncio.create_task(legal.visit(VISITS))
        for _ in range(EVENTS):
            flooder.say('42["ping"]')
        took = await meanwhile
        await asyncio.wait_for(flooder.over.wait(), GONE_SECONDS)
        pongs = sum(name == "pong" for name, _ in flooder.replies)
        report(
            "F14 events",
            sent=EVENTS,
            carried_out=pongs,
            legal_p99_ms=p99_ms(took),
            without_flood_ms=p99_ms(calm),
        )
        require_fair(took, calm)
        assert pongs < 30
        assert {"rate_limited"} == {data["code"] for name, data in flooder.replies if name == "error"}
        await target.until_online(0, 5)
        target.require_clean_log()


async def test_a_stock_server_keeps_a_session_for_every_handshake() -> None:
    async with stock() as served:
        flood = [Mute() for _ in range(FLOOD)]
        for one in flood:
            await one.open(served.port)
        await asyncio.sleep(CONNECT_TIMEOUT + 0.5)
        assert served.sockets == FLOOD
        for one in flood:
            one.close()
        await eventually(lambda: served.sockets == 0)
