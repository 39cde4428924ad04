"""The providers' twins for tests, on a free port, in the test's own loop.

`simulator.say("twilio", "429:2", "reset")` puts faults in the way, `simulator.ledger` tells what was taken,
and `environment(simulator.url)` is what a hub has to be told to use it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from hub.cluster.embedded import free_port
from hub.simulator.server import Simulator


@pytest_asyncio.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """Takes everything until it is told otherwise. Its webhooks point nowhere: see `point_webhooks`."""
    simulator = Simulator(callback_delay=0.02)
    await simulator.open(free_port())
    yield simulator
    await simulator.close()
