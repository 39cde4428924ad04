"""A real hub with a worker, a real browser, and a page; a loud line where the machine has no chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.browser import bundles, chromium
from tests.hubs import HubCluster

PAGES = "http://localhost:5173"
"""Where the old clients' own pages live: the origin in their CORS_ORIGIN."""

expect.set_options(timeout=20_000)  # milliseconds, for a busy machine; what is there is seen at once


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    missing = None if chromium.is_there() else chromium.MISSING
    missing = missing or (None if bundles.has_node() else bundles.MISSING)
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if missing:
                item.add_marker(pytest.mark.skip(reason=missing))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = {str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])}
    for missing in (chromium.MISSING, bundles.MISSING):
        if any(missing in reason for reason in skipped):
            terminalreporter.write_sep("!", missing, red=True, bold=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HubCluster]:
    """A hub with its pages built, and a worker for its deliveries."""
    bundles.build_pages()
    directory = tmp_path_factory.mktemp("hub")
    async with HubCluster(directory, env={"CORS_ORIGIN": PAGES}) as cluster:
        await cluster.start_worker()
        yield cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(running_hub: HubCluster) -> AsyncIterator[Browser]:
    async with chromium.launch() as running:
        yield running
