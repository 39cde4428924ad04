"""Debian's chromium, driven by Playwright: found or loudly missed, started with the hosts that a test wants.

Addresses that old clients have written into them (`localhost:3000`) are mapped to the ports where the test's
servers really listen, so no client has to be changed. Knows no hub and no page.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright

PROGRAM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
MISSING = f"the browser tests did not run: there is no {PROGRAM} (on Debian: apt install chromium)"
_QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A page that a test made up has no address, and would not be let to a socket on this machine.
    "--disable-features=LocalNetworkAccessChecks",
)


def is_there() -> bool:
    return PROGRAM.is_file()


@asynccontextmanager
async def launch(hosts: Mapping[str, int] | None = None) -> AsyncIterator[Browser]:
    """A running browser in which each name of `hosts` (`localhost:3000`) leads to that port on loopback."""
    rules = ",".join(f"MAP {name} 127.0.0.1:{port}" for name, port in (hosts or {}).items())
    arguments = [*_QUIET, *([f"--host-resolver-rules={rules}"] if rules else [])]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=PROGRAM, args=arguments)
        try:
            yield browser
        finally:
            await browser.close()
