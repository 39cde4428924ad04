"""Replays real hotel bookings into a running hub, and checks the hub's answers while it does.

    python examples/replay_bookings.py --url http://127.0.0.1:8000 --key KEY --rate 20 --max 500

KEY is an API key of the platform with the scope `notify`; without it the key of a development hub is used.
Every notification carries an Idempotency-Key that depends on the booking only, so a run that was broken off
can be started again and doubles nothing; `--run NAME` begins a new series. What the hub asks to send later
(429, 503) and what got no answer is tried again. The exit code is 1 when something does not add up: a
notification that was not accepted, an id given twice, or a gap between the cursors of a tenant (`--shared`
when others send there too).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import aiohttp
from bookings import Moment, read, sample, stream
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

DEVELOPMENT_KEY = "hub_development_key_never_for_production"
AGAIN = frozenset({409, 429, 500, 502, 503, 504})  # 409: the same key is being worked on
HOPELESS = frozenset({401, 403, 404})  # the next one would fare no better
LONGEST_WAIT = 30.0  # seconds


class GaveUp(Exception):
    """The hub cannot be used: it does not answer, or refuses this key or tenant. `str()` says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the hub said to one notification."""

    moment: Moment
    status: int
    id: str = ""
    cursor: str = ""
    replayed: bool = False
    detail: str = ""

    @property
    def accepted(self) -> bool:
        return self.status == 202


class Sender:
    """Posts notifications until the hub has answered each one. `tell` gets a line when there is a wait."""

    def __init__(
        self, http: aiohttp.ClientSession, run: str, patience: float, tell: Callable[[str], None]
    ) -> None:
        self._http = http
        self._run = run
        self._patience = patience
        self._tell = tell

    async def send(self, moments: Sequence[Moment]) -> list[Answer]:
        """The answers, in the order of `moments`: one request each, or one batch for several."""
        answers: dict[str, Answer] = {}
        waiting, tries, deadline = list(moments), 0, time.monotonic() + self._patience
        while waiting:
            given, pause = await (self._one(waiting[0]) if len(moments) == 1 else self._batch(waiting))
            answers |= {answer.moment.key: answer for answer in given}
            waiting = [moment for moment in waiting if answers[moment.key].status in AGAIN | {0}]
            if not waiting:
                break
            last = answers[waiting[0].key]
            tries += 1
            wait = pause or min(LONGEST_WAIT, 0.2 * 2**tries) * random.uniform(0.5, 1)
            if time.monotonic() + wait > deadline:
                raise GaveUp(f"no answer within {self._patience:g} s, the last was: {last.detail}")
            self._tell(f"again in {wait:.1f} s ({last.detail})")
            await asyncio.sleep(wait)
        return [answers[moment.key] for moment in moments]

    def _key(self, moment: Moment) -> str:
        return f"{self._run}-{moment.key}"

    async def _one(self, moment: Moment) -> tuple[list[Answer], float]:
        headers = {"Idempotency-Key": self._key(moment)}
        status, body, received = await self._post("/notifications", moment.body, headers)
        replayed = received.get("Idempotency-Replayed") == "true"
        return [_answer(moment, status, body, replayed)], _seconds(received)

    async def _batch(self, moments: Sequence[Moment]) -> tuple[list[Answer], float]:
        items = [moment.body | {"idempotencyKey": self._key(moment)} for moment in moments]
        status, body, received = await self._post("/notifications/batch", {"notifications": items}, {})
        results = body.get("results", []) if isinstance(body, dict) else []
        if len(results) != len(moments):  # refused as a whole
            results = [{"status": status, **(body if isinstance(body, dict) else {})}] * len(moments)
        answers = [
            _answer(moment, result["status"], result, bool(result.get("idempotencyReplayed")))
            for moment, result in zip(moments, results, strict=True)
        ]
        return answers, _seconds(received)

    async def _post(self, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        try:
            async with self._http.post(path, json=body, headers=headers) as answer:
                return answer.status, await answer.json(content_type=None), dict(answer.headers)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return 0, {"detail": f"{type(error).__name__}: {error}"}, {}


def _answer(moment: Moment, status: int, body: Any, replayed: bool) -> Answer:
    body = body if isinstance(body, dict) else {}
    detail = str(body.get("detail") or body.get("title") or f"HTTP {status}")
    if status in HOPELESS:
        raise GaveUp(f"{status} {detail}")
    return Answer(
        moment=moment,
        status=status,
        id=str(body.get("id") or ""),
        cursor=str(body.get("cursor") or ""),
        replayed=replayed,
        detail=detail,
    )


def _seconds(headers: dict[str, str]) -> float:
    """What `Retry-After` asks for; 0 when it asks for nothing."""
    try:
        return min(LONGEST_WAIT, max(0.0, float(headers.get("Retry-After", "0"))))
    except ValueError:
        return 0.0


def faults(moments: Sequence[Moment], answers: Sequence[Answer], *, shared: bool) -> list[str]:
    """Everything that does not add up, one line each."""
    found = [
        f"{answer.moment.key} ({answer.moment.tenant}): {answer.status} {answer.detail}"
        for answer in answers
        if not answer.accepted
    ]
    accepted = [answer for answer in answers if answer.accepted]
    if len(answers) != len(moments):
        found.append(f"{len(moments)} were to be sent, {len(answers)} were answered")
    twice = [id for id, count in Counter(answer.id for answer in accepted).items() if count > 1]
    if twice:
        found.append(f"{len(twice)} ids were given more than once, the first is {twice[0]!r}")
    for tenant, places in cursors(accepted).items():
        epochs = {epoch for epoch, _ in places}
        offsets = sorted(offset for _, offset in places)
        if -1 in offsets:
            found.append(f"{tenant}: {offsets.count(-1)} answers have no cursor")
        elif len(epochs) != 1:
            found.append(f"{tenant}: cursors of {len(epochs)} epochs: {', '.join(sorted(epochs))}")
        elif len(set(offsets)) != len(offsets):
            found.append(f"{tenant}: a cursor was given twice")
        elif not shared and offsets != list(range(offsets[0], offsets[-1] + 1)):
            gap = next(a for a, b in pairwise(offsets) if b != a + 1)
            found.append(
                f"{tenant}: nothing stands at offset {gap + 1}, though offset {offsets[-1]} was given"
            )
    return found


def cursors(answers: Sequence[Answer]) -> dict[str, list[tuple[str, int]]]:
    """Per tenant the places in its log that were given, as (epoch, offset)."""
    places: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for answer in answers:
        epoch, _, offset = answer.cursor.partition(":")
        places[answer.moment.tenant].append((epoch, int(offset) if offset.isdigit() else -1))
    return places


def summary(moments: Sequence[Moment], answers: Sequence[Answer], seconds: float) -> Table:
    table = Table(title=f"{len(answers)} notifications in {seconds:.1f} s", title_justify="left")
    for name in ("type", "to send", "accepted", "of these known before", "with mail"):
        table.add_column(name, justify="left" if name == "type" else "right")
    planned = Counter(moment.type for moment in moments)
    accepted = Counter(answer.moment.type for answer in answers if answer.accepted)
    known = Counter(answer.moment.type for answer in answers if answer.replayed)
    mailed = Counter(answer.moment.type for answer in answers if answer.accepted and answer.moment.mail)
    for kind in sorted(planned):
        table.add_row(kind, *(str(count[kind]) for count in (planned, accepted, known, mailed)))
    table.add_section()
    table.add_row("all", *(str(count.total()) for count in (planned, accepted, known, mailed)))
    return table


async def replay(options: argparse.Namespace, console: Console) -> int:
    """Runs the whole. Returns the exit code. Raises `GaveUp`."""
    moments = stream(sample(list(read()), options.max))
    answers: list[Answer] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    timeout = aiohttp.ClientTimeout(total=20)
    headers = {"Authorization": f"Bearer {options.key}"}
    started = time.monotonic()
    async with aiohttp.ClientSession(options.url, headers=headers, timeout=timeout) as http:
        with Progress(*columns, console=console, disable=not sys.stdout.isatty()) as progress:
            bar = progress.add_task("sending", total=len(moments))
            sender = Sender(http, options.run, options.patience, progress.console.print)
            for first in range(0, len(moments), options.batch):
                if options.rate:
                    await asyncio.sleep(max(0.0, started + first / options.rate - time.monotonic()))
                part = moments[first : first + options.batch]
                answers += await sender.send(part)
                last = part[-1]
                progress.update(
                    bar, advance=len(part), description=f"{last.at:%d %b %Y %H:%M} {last.type:17}"
                )
    console.print(summary(moments, answers, time.monotonic() - started))
    for tenant, places in sorted(cursors([a for a in answers if a.accepted]).items()):
        offsets = [offset for _, offset in places]
        console.print(f"{tenant}: {len(offsets)} notifications at offsets {min(offsets)} to {max(offsets)}")
    found = faults(moments, answers, shared=options.shared)
    for line in found[:20]:
        console.print(f"[red]does not add up:[/] {line}")
    if not found:
        console.print("[green]Everything adds up.[/]")
    return 1 if found else 0


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Replay real hotel bookings into a running hub.")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="where the hub listens")
    parser.add_argument("--key", default=DEVELOPMENT_KEY, help="API key of the platform, scope notify")
    parser.add_argument(
        "--rate", type=float, default=20.0, help="notifications a second; 0: as fast as it goes"
    )
    parser.add_argument("--max", type=positive, default=500, help="most notifications; whole bookings only")
    parser.add_argument("--batch", type=positive, default=1, help="notifications in one request")
    parser.add_argument("--run", default="bookings", help="name of the series, first part of every key")
    parser.add_argument("--shared", action="store_true", help="others send to these tenants too")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds to wait for a hub that is away")
    return parser.parse_args()


def main() -> int:
    console = Console()
    try:
        return asyncio.run(replay(arguments(), console))
    except GaveUp as reason:
        console.print(f"[red]Gave up:[/] {reason}")
    except KeyboardInterrupt:
        console.print("Broken off. The same command goes on where this run ended.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
