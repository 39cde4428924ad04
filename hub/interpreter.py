"""Python itself, set for a process that works for hours: the collector, and how threads take turns.

Also which event loop there is. Does not know what the process does.
"""

from __future__ import annotations

import asyncio
import gc
import sys

# Requests leave no cycles behind; looking for some after every 700 objects costs a tenth of the processor.
GC_THRESHOLDS = (50_000, 20, 50)
# SQLite's thread needs the interpreter between two statements, and while the loop is busy it waits for this
# long each time. With Python's 5 ms, a transaction of ten statements takes 50.
SWITCH_SECONDS = 0.0005


def settle() -> None:
    """Call it when what stays has been made: the collector need not look at that again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    sys.setswitchinterval(SWITCH_SECONDS)


def loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """uvloop's where it is installed; None: asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop
