"""What axe-core, the checker of accessibility, finds in a page.

The page's content security policy does not keep it out: the browser itself is told to run it.
"""

from __future__ import annotations

from typing import Any

from playwright.async_api import Page

from tests.browser.bundles import CLIENT

AXE = CLIENT / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


async def faults_of(page: Page, within: str | None = None) -> list[str]:
    """One line for each fault: the rule, and the first places where it is broken. Empty: none."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text(encoding="utf-8"))
    run = "([within, tags]) => axe.run(within ?? document, {runOnly: {type: 'tag', values: tags}})"
    found: dict[str, Any] = await page.evaluate(run, [within, RULES])
    assert found["passes"], "nothing was checked"
    return [_line(fault) for fault in found["violations"]]


def _line(fault: dict[str, Any]) -> str:
    places = [f"{node['target']} {node['failureSummary']}" for node in fault["nodes"][:3]]
    return f"{fault['id']}: {'; '.join(places)}"
