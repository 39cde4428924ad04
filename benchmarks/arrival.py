"""From a backend to the screens: POST until the last of 1000 sockets has it, and what one missed, again.

Connections ask for generic events, so that a notification is one message. Node appends a line to a file and
syncs it before it emits; what was missed it does not know.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack

from benchmarks.generator import Figures, Generator
from benchmarks.requests import KEY, ask
from benchmarks.rows import Goal, Row, alone, compared
from benchmarks.running import Run, shuffled
from benchmarks.servers import HubServer, Server
from benchmarks.tokens import ROOM, TENANT

SOCKETS = 1000
# Beside Node as in the paced fan-out. The higher rate is 100 000 messages a second.
BESIDE = {"Node": Goal(0.7, most=True)}
RATES: tuple[tuple[int, dict[str, Goal], dict[str, float]], ...] = (
    (10, BESIDE, {}),
    (100, BESIDE, {"p50": 5, "p99": 25}),
)
MISSED = 1000
TIMES = 10
AUTH = '{"token":"%T","events":"generic"}'
BODY = (
    f'{{"tenantId":"{TENANT}","type":"booking.created","to":["{ROOM}"],'
    '"data":{"ts":%t,"n":%n},"title":"New booking","message":"%f"}'
)


def posted(run: Run) -> Iterable[Row]:
    """POST to the last of the sockets."""
    posting = ["--body", BODY, "--unordered", "--post-path", "/notifications"]
    with run.servers(("hub", "Node")) as servers, ExitStack() as stack:
        generators: dict[str, Generator] = {}
        for name, server in servers.items():
            options = (
                server.options("socketio", AUTH)
                if isinstance(server, HubServer)
                else server.options("socketio")
            )
            options += [*posting, "--post-port", str(server.port)]
            options += ["--post-header", f"{KEY}\r\nIdempotency-Key: bench-%n"]
            generators[name] = stack.enter_context(Generator(server, "socketio", SOCKETS, options=options))
        for rate, goals, own in RATES:
            found: dict[str, list[Figures]] = {name: [] for name in generators}
            for number in range(run.extent.long_rounds):
                run.say(f"POST to the last of {SOCKETS} sockets, {rate}/s, round {number + 1}")
                for name in shuffled(generators):
                    figures = generators[name].pace(rate=rate, seconds=run.extent.slice * 5)
                    if name == "hub":  # what is too much for a peer is seen in its latency
                        run.require_whole(name, "POST to the last", figures)
                    found[name].append(figures)
            what = f"POST to the last of {SOCKETS}, {rate}/s"
            for share in ("p50", "p99"):
                each = {name: [one[f"last_{share}_ms"] for one in rounds] for name, rounds in found.items()}
                yield from compared(f"{what}, {share}", "ms", each, goals)
                if share in own:
                    yield alone(f"{what}, {share}", "ms", each["hub"], Goal(own[share], most=True, own=True))


def replayed(run: Run) -> Iterable[Row]:
    """From opening the connection to the last of the missed events."""
    for name, ring, most in (("the ring", MISSED, 50), ("SQL", 0, 150)):
        run.say(f"replay from {name}")
        with run.make("hub", settings={"HUB_RING_EVENTS": str(ring)}) as server, ExitStack() as stack:
            assert isinstance(server, HubServer)
            # Somebody of the tenant is there: what nobody here follows is in no memory.
            stack.enter_context(Generator(server, "socketio", 1))
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
