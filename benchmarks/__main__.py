"""`python -m benchmarks [--quick] [PART ...]`: measures and prints the table. README.md explains it."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks import arrival, deliveries, fanout, idle, machine, presence, reconnect, requests, targeted
from benchmarks.rows import Row, table
from benchmarks.running import FULL, QUICK, Run

PARTS: dict[str, Callable[[Run], Iterable[Row]]] = {
    "fanout": fanout.sockets,
    "sse": fanout.streams,
    "targeted": targeted.messages,
    "idle": idle.connections,
    "ingest": requests.ingest,
    "post": arrival.posted,
    "replay": arrival.replayed,
    "reconnect": reconnect.storm,
    "presence": presence.counted,
    "deliveries": deliveries.mails,
}

SPARE_FILES = 500


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these: {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="about two minutes instead of ten")
    asked = parser.parse_args()
    unknown = set(asked.parts) - PARTS.keys()
    if unknown:
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    extent = QUICK if asked.quick else FULL
    machine.require_files(max(extent.idle, *extent.crowds) + SPARE_FILES)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as directory:
        run = Run(extent, Path(directory), say=lambda text: print(text, file=sys.stderr, flush=True))
        rows = [row for part in asked.parts or PARTS for row in PARTS[part](run)]
    print(f"\n{machine.description()}; load {machine.load()}; took {time.monotonic() - started:.0f} s\n")
    print("\n".join(table(rows)))
    for name, why in run.missing.items():
        print(f"\nWithout {name}: {why}")
    for fault in run.faults:
        print(f"\nNOT WHOLE: {fault}")
    return 1 if run.faults else 0


if __name__ == "__main__":
    sys.exit(main())
