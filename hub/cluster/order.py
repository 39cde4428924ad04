"""The order of one tenant's log, as one process sees it: what had its turn, what waits, what is missing.

Records come in any order, twice or never; `Order` hands each offset out exactly once and in sequence, as
soon as everything before it was handed out. It promises bounded memory: what does not fit is forgotten
and counts as missing. Pure: no I/O, no clock. It does not know where missing records are read from.
"""

from __future__ import annotations

from collections.abc import Iterable

from hub.cluster.record import Record

PARKED_RECORDS = 1000
PARKED_BYTES = 4 << 20


class Order:
    """Every method that returns records returns those whose turn has come, in order, to be dispatched now.

    At most `most` records with bodies of `most_bytes` in all wait for their turn.
    """

    __slots__ = ("_most", "_most_bytes", "_parked", "_parked_bytes", "epoch", "known", "last")

    def __init__(self, *, most: int = PARKED_RECORDS, most_bytes: int = PARKED_BYTES) -> None:
        self.epoch: str | None = None  # None: the place in the log is not known yet, everything waits
        self.last = 0  # the last offset that was handed out
        self.known = 0  # the highest offset the log is known to hold
        self._parked: dict[int, Record] = {}
        self._parked_bytes = 0
        self._most = most
        self._most_bytes = most_bytes

    def start(self, epoch: str, offset: int) -> list[Record]:
        """Everything up to `offset` has had its turn. Starting again forgets the old place (a new epoch)."""
        waiting = self._parked
        self._parked, self._parked_bytes = {}, 0
        self.epoch, self.last, self.known = epoch, offset, offset
        return self.filled(waiting.values())

    def arrive(self, record: Record) -> list[Record]:
        """A record from anywhere. Duplicates and records of another epoch are dropped."""
        offset = record.offset
        if self.epoch is None:
            self._park(record)
            return []
        if offset <= self.last or record.epoch != self.epoch:
            return []
        if offset > self.last + 1:
            self._park(record)
            return []
        self.last = offset
        return [record, *self._release()] if self._parked else [record]

    def filled(self, records: Iterable[Record]) -> list[Record]:
        """Several records at once, for instance a page of the log; it may have holes and overlaps."""
        ready: list[Record] = []
        for record in sorted(records, key=lambda record: record.offset):
            ready += self.arrive(record)
        return ready

    def note(self, offset: int) -> None:
        """The log is known to reach `offset`."""
        self.known = max(self.known, offset)

    def skip(self, offset: int) -> list[Record]:
        """Nothing up to `offset` will come any more (removed from the log): go on behind it."""
        if self.epoch is None or offset <= self.last:
            return []
        self.last = offset
        self.note(offset)
        for gone in [parked for parked in self._parked if parked <= offset]:
            self._parked_bytes -= len(self._parked.pop(gone).body)
        return self._release()

    @property
    def behind(self) -> bool:
        """Whether something is missing."""
        return self.epoch is not None and (bool(self._parked) or self.known > self.last)

    def missing(self) -> tuple[int, int] | None:
        """The first hole as (after, upto): the offsets after the one and up to the other. None: no hole."""
        if not self.behind:
            return None
        return self.last, min(self._parked) - 1 if self._parked else self.known

    def _park(self, record: Record) -> None:
        self.note(record.offset)
        size = len(record.body)
        if record.offset in self._parked:
            return
        if len(self._parked) < self._most and self._parked_bytes + size <= self._most_bytes:
            self._parked[record.offset] = record
            self._parked_bytes += size

    def _release(self) -> list[Record]:
        ready: list[Record] = []
        while record := self._parked.pop(self.last + 1, None):
            self._parked_bytes -= len(record.body)
            self.last += 1
            ready.append(record)
        return ready
