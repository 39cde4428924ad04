"""`python -m tests.chaos.doomed_worker POINT DELIVERY`: a `hub worker` that works on one delivery, and kills
itself (SIGKILL) at that point of its way."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from hub.cli import main
from hub.providers.smtp import Smtp
from hub.services.deliver import Deliver
from hub.store.deliveries import Deliveries

# What is called there, and whether it is still carried out.
POINTS: dict[str, tuple[Any, str, bool]] = {
    "before the claim": (Deliveries, "claim", False),
    "after the claim": (Deliveries, "claim", True),
    "during the call": (Smtp, "send", False),
    "after the yes": (Smtp, "send", True),
    "after the commit": (Deliveries, "advance", True),
}


def doom(point: str, delivery: str) -> None:
    where, name, done = POINTS[point]
    alive = getattr(where, name)

    async def dying(*args: Any, **more: Any) -> None:
        if done:
            await alive(*args, **more)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(where, name, dying)
    send = Deliver.send

    async def send_one(deliver: Deliver, id: str) -> Any:
        return await send(deliver, id) if id == delivery else None

    Deliver.send = send_one  # type: ignore[method-assign]


if __name__ == "__main__":
    doom(*sys.argv[1:])
    sys.argv[1:] = ["worker"]
    main()
