"""From a backend to the screens: POST until the last of 1000 sockets has it, and what one missed, again.

The hub alone: both are durable, and no peer stores. Connections ask for generic events, so that a
notification is one message.
"""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.generator import Generator
from benchmarks.requests import KEY, ask
from benchmarks.rows import Goal, Row, alone
from benchmarks.running import Run
from benchmarks.servers import HubServer, Server
from benchmarks.tokens import ROOM, TENANT

SOCKETS = 1000
RATE = 100
MISSED = 1000
TIMES = 10
AUTH = '{"token":"%T","events":"generic"}'
BODY = (
    f'{{"tenantId":"{TENANT}","type":"booking.created","to":["{ROOM}"],'
    '"data":{"ts":%t,"n":%n},"title":"New booking","message":"%f"}'
)


def posted(run: Run) -> Iterable[Row]:
    """POST to the last of the sockets."""
    server = run.make("hub")
    assert isinstance(server, HubServer)
    rounds = []
    with server:
        options = server.options("socketio", AUTH)
        options += ["--post-port", str(server.port), "--post-path", "/notifications"]
        options += ["--post-header", f"{KEY}\r\nIdempotency-Key: bench-%n", "--body", BODY, "--unordered"]
        with Generator(server, "socketio", SOCKETS, options=options) as generator:
            for number in range(run.extent.long_rounds):
                run.say(f"POST to the last of {SOCKETS} sockets, round {number + 1}")
                figures = generator.pace(rate=RATE, seconds=run.extent.slice * 5)
                run.require_whole("hub", "POST to the last", figures)
                rounds.append(figures)
    what = f"POST to the last of {SOCKETS}, {RATE}/s"
    for share, most in (("p50", 5), ("p99", 25)):
        found = [figures[f"last_{share}_ms"] for figures in rounds]
        yield alone(f"{what}, {share}", "ms", found, Goal(most, most=True, own=True))


def replayed(run: Run) -> Iterable[Row]:
    """From opening the connection to the last of the missed events."""
    for name, ring, most in (("the ring", MISSED, 50), ("SQL", 0, 150)):
        run.say(f"replay from {name}")
        with run.make("hub", settings={"HUB_RING_EVENTS": str(ring)}) as server:
            assert isinstance(server, HubServer)
            auth = AUTH[:-1] + f',"cursor":"{miss(server, MISSED)}"}}'
            options = server.options("socketio", auth)
            with Generator(server, "socketio", 1, "--expect", str(MISSED), options=options) as generator:
                found = []
                for _ in range(TIMES):
                    figures = generator.ask("complete", 10)
                    run.require_whole(
                        "hub", f"replay from {name}", figures | {"lost": 1 - figures["complete"]}
                    )
                    found.append(figures["p50_ms"])
                    generator.ask("close")
                    generator.ask("connect")
        yield alone(f"replay of {MISSED} from {name}", "ms", found, Goal(most, most=True, own=True))


def miss(server: Server, count: int) -> str:
    """Stores `count` notifications; the cursor of somebody who has seen none of them."""
    entries = [
        {
            "type": "booking.created",
            "to": [ROOM],
            "title": "New booking",
            "message": "Ana booked Room 4 for Friday evening",
            "data": {"ts": 1, "n": number},
        }
        for number in range(1, count + 1)
    ]
    answer = ask(server, "POST", "/notifications/batch", {"tenantId": TENANT, "notifications": entries})
    epoch, _, offset = answer["results"][0]["cursor"].partition(":")
    return f"{epoch}:{int(offset) - 1}"
