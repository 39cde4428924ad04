"""A tenant's recent past read back from SQL into the ring, when a crowd asks for it.

After a restart nothing is in memory and everybody comes back at once; each asks SQL for what is mostly the
same. So the log is read once, for all of its rooms, and who comes meanwhile waits for that one reading. Who
may see what of it is judged for each as ever. Promises that what is put into the ring is the log without a
hole; what does not fit, or is not whole, is not put there.
"""

from __future__ import annotations

import asyncio

from hub.realtime.replay import Ring
from hub.services.publish import Past, record_of
from hub.store.events import EventLog

PAGE = 500


class Recall:
    def __init__(self, ring: Ring[Past], log: EventLog) -> None:
        self._ring = ring
        self._log = log
        self._readings: dict[str, asyncio.Task[None]] = {}

    async def reach(self, tenant: str, after: int, upto: int) -> None:
        """Have the ring hold everything after `after`, if it can; `upto` is what was dispatched here.

        Raises `StoreUnavailable`.
        """
        reading = self._readings.get(tenant)
        if reading is None:
            reading = asyncio.create_task(self._read(tenant, after, upto), name="replay-recall")
            self._readings[tenant] = reading
            reading.add_done_callback(lambda _: self._readings.pop(tenant))
        await asyncio.wait([reading])  # one who goes does not end it for the others
        if not reading.cancelled():
            reading.result()

    async def _read(self, tenant: str, after: int, upto: int) -> None:
        first = self._ring.first(tenant)
        upto = upto if first is None else first - 1
        if not self._ring.has_room(tenant, upto - after):
            return
        found: list[tuple[int, Past]] = []
        while after < upto:
            page = await self._log.range(tenant, after, upto, limit=PAGE)
            if [event.offset for event in page] != list(range(after + 1, after + 1 + len(page))) or not page:
                return
            found += [(event.offset, Past(record_of(event))) for event in page]
            after = page[-1].offset
        self._ring.recall(tenant, found)
