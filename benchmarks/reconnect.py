"""The storm: everybody who was connected comes back at once, each with a cursor and a few events behind.

Measured is the time from the first connect until the last of them has its last missed event. Once with what
was missed still in the memory of the process they come back to, and once against a process that has only
SQL, as after a restart.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from benchmarks.arrival import AUTH, miss
from benchmarks.generator import Generator
from benchmarks.rows import Goal, Row, alone
from benchmarks.running import IDLE, Run
from benchmarks.servers import HubServer

MISSED = 5
AT_ONCE = 4000  # handshakes under way; the others stand in line, as in the backlog of a listening socket
SECONDS = 60.0


def storm(run: Run) -> Iterable[Row]:
    """All of them come from one address here; in life they do not, so its caps are out of the way."""
    crowd = run.extent.idle
    caps = {"HUB_HANDSHAKES_PER_ADDRESS": str(crowd), "HUB_CONNECTIONS_PER_ADDRESS": str(2 * crowd)}
    goal = Goal(20, most=True, own=True) if crowd >= IDLE else None
    for name in ("the ring", "SQL"):
        run.say(f"{crowd} reconnect at once, {MISSED} events behind, from {name}")
        server = run.make("hub", settings=caps)
        assert isinstance(server, HubServer)
        with server, Generator(server, "socketio", 1):  # who stays makes the process follow the tenant
            cursor = miss(server, MISSED)
            if name == "the ring":
                figures, seconds = _come_back(server, crowd, cursor)
        if name == "SQL":
            with server:  # the same database, and an empty memory
                figures, seconds = _come_back(server, crowd, cursor)
        run.require_whole("hub", f"the storm, from {name}", figures)
        what = f"{crowd} reconnect at once, all caught up from {name}"
        cost = f"{figures['server_us_each']:.1f}"
        yield alone(what, "s", [seconds], goal, cost=cost)


def _come_back(server: HubServer, crowd: int, cursor: str) -> tuple[dict[str, float], float]:
    auth = AUTH[:-1] + f',"cursor":"{cursor}"}}'
    more = ("--in-flight", str(min(crowd, AT_ONCE)), "--expect", str(MISSED))
    started = time.monotonic()
    with Generator(server, "socketio", crowd, *more, options=server.options("socketio", auth)) as generator:
        found = generator.ask("complete", SECONDS)
        seconds = time.monotonic() - started
        cost = generator.connected["server_us_each"]
    return found | {"lost": crowd - found["complete"], "server_us_each": cost}, seconds
