"""What every client should have seen, worked out from what the hub accepted.

Knows entitlement (a tenant, rooms) and the log's offsets, nothing of transports. `judge` compares that with
the list a client wrote down as things arrived; an empty list of faults means: exactly the entitled events,
each once, in the order of the log.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

SHOWN = 5  # faults of one kind that are spelled out


@dataclass(frozen=True, slots=True)
class Entry:
    """One accepted event. `type` is for messages only."""

    tenant: str
    offset: int
    id: str
    type: str
    rooms: frozenset[str]


@dataclass(frozen=True, slots=True)
class Seen:
    """One event as it arrived at a client."""

    offset: int
    id: str


class Oracle:
    def __init__(self) -> None:
        self._by_id: dict[str, Entry] = {}
        self._logs: dict[str, dict[int, Entry]] = defaultdict(dict)

    def accepted(self, entry: Entry) -> None:
        """A 2xx was given. Raises AssertionError when its place or its id belongs to something else."""
        known = self._by_id.setdefault(entry.id, entry)
        assert known == entry, f"id {entry.id} was given to {known} and to {entry}"
        there = self._logs[entry.tenant].setdefault(entry.offset, entry)
        assert there == entry, f"offset {entry.offset} was given to {there} and to {entry}"

    def __len__(self) -> int:
        return len(self._by_id)

    def tenants(self) -> list[str]:
        return sorted(self._logs)

    def entitled(self, tenant: str, rooms: Collection[str]) -> list[Entry]:
        """What somebody in `rooms` has to see, in the order of the log."""
        log = self._logs[tenant]
        return [log[offset] for offset in sorted(log) if not log[offset].rooms.isdisjoint(rooms)]

    def judge(self, tenant: str, rooms: Collection[str], seen: Sequence[Seen]) -> list[str]:
        """Everything wrong with what one client saw, one line each."""
        faults = []
        due = {entry.id: entry for entry in self.entitled(tenant, rooms)}
        counts = Counter(item.id for item in seen)
        for kind, items in (
            ("missing", [_name(entry) for entry in due.values() if entry.id not in counts]),
            ("not entitled to", [self._label(id) for id in counts if id not in due]),
            ("more than once", [self._label(id) for id, count in counts.items() if count > 1]),
            (
                "under another offset",
                [_name(due[s.id]) for s in seen if s.id in due and due[s.id].offset != s.offset],
            ),
        ):
            if items:
                more = ", ..." if len(items) > SHOWN else ""
                faults.append(f"{len(items)} {kind}: {', '.join(items[:SHOWN])}{more}")
        offsets = [item.offset for item in seen]
        late = [after for before, after in pairwise(offsets) if after <= before]
        if late:
            faults.append(f"{len(late)} out of order, the first is offset {late[0]}")
        return faults

    def holes(self) -> list[str]:
        """Offsets that nobody was given although a later one was: stored but never answered, or lost."""
        faults = []
        for tenant, log in sorted(self._logs.items()):
            gone = sorted(set(range(1, max(log) + 1)) - log.keys())
            if gone:
                faults.append(f"{tenant}: {len(gone)} offsets without an answer, the first is {gone[0]}")
        return faults

    def compare(self, rows: Iterable[tuple[str, int, str]]) -> list[str]:
        """Against the (tenant, offset, id) that the database holds: every 2xx once, and nothing else."""
        faults = []
        stored: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for tenant, offset, id in rows:
            stored[tenant].append((offset, id))
        for tenant in sorted(stored.keys() | self._logs.keys()):
            have = sorted(stored.get(tenant, []))
            want = sorted((entry.offset, entry.id) for entry in self._logs.get(tenant, {}).values())
            if [offset for offset, _ in have] != list(range(1, len(have) + 1)):
                faults.append(f"{tenant}: the offsets in the database are not contiguous")
            lost, extra = set(want) - set(have), set(have) - set(want)
            if lost:
                faults.append(f"{tenant}: {len(lost)} accepted events are not stored, one is {min(lost)}")
            if extra:
                faults.append(
                    f"{tenant}: {len(extra)} stored events were never accepted, one is {min(extra)}"
                )
        return faults

    def _label(self, id: str) -> str:
        entry = self._by_id.get(id)
        return _name(entry) if entry else f"unknown id {id}"


def _name(entry: Entry) -> str:
    return f"{entry.tenant} {entry.offset} {entry.type}"
