"""Pages and probes: the built web pages, and whether the process is well.

The pages are built from `clients/js` into `static/`, which may be missing: then `/` says so. This file
does not know what the pages do.
"""

from __future__ import annotations

from pathlib import Path

from aiohttp import hdrs, web

from hub.domain.errors import Missing, Unavailable
from hub.web.answers import answer_json
from hub.web.context import HUB

STATIC = Path(__file__).parent / "static"
# Pages may talk to the hub they came from and to nobody else.
_PAGE_CSP = (
    "default-src 'self'; connect-src 'self' ws: wss:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: https:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
# The dashboard shows pictures of mails with their own style, and nothing that anybody else serves.
_ADMIN_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The documentation shows icons that stand in its style, and calls nobody but this hub.
_DOCS_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_MISSING = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>Realtime hub</title>"
    "<h1>The hub is running, its web pages are not built</h1>"
    "<p>The API, Socket.IO and SSE work. To have the pages too, install Node.js 20 or newer and run "
    "<code>make js</code>, then load this page again.</p>"
)


async def index(request: web.Request) -> web.StreamResponse:
    """The demo page; when it was not built, a page that says so."""
    return _page("index.html", _PAGE_CSP)


async def admin(request: web.Request) -> web.StreamResponse:
    """The dashboard, which asks for a token itself; when it was not built, a page that says so."""
    return _page("admin.html", _ADMIN_CSP)


async def docs(request: web.Request) -> web.StreamResponse:
    """The page that shows `/openapi.json` and tries it; when it was not built, a page that says so."""
    return _page("docs.html", _DOCS_CSP)


def _page(name: str, csp: str) -> web.StreamResponse:
    page = STATIC / name
    if not page.is_file():
        return web.Response(status=404, text=_MISSING, content_type="text/html")
    return web.FileResponse(page, headers={"Content-Security-Policy": csp, hdrs.CACHE_CONTROL: "no-cache"})


async def static(request: web.Request) -> web.StreamResponse:
    """A built file. Names under `assets/` hold a digest of their content, so they never change."""
    path = (STATIC / request.match_info["path"]).resolve()
    if not path.is_relative_to(STATIC.resolve()) or not path.is_file():
        raise Missing("no such file")
    lasting = "assets" in path.relative_to(STATIC.resolve()).parts[:-1]
    cache = "public, max-age=31536000, immutable" if lasting else "no-cache"
    return web.FileResponse(path, headers={"Content-Security-Policy": _PAGE_CSP, hdrs.CACHE_CONTROL: cache})


async def livez(request: web.Request) -> web.Response:
    """The process answers."""
    return answer_json({"status": "alive"})


async def readyz(request: web.Request) -> web.Response:
    """The process should get traffic; else 503 with the reason of each part."""
    faults = await request.app[HUB].faults()
    if faults:
        raise Unavailable(
            "; ".join(f"{part}: {why}" for part, why in faults.items()),
            errors=[{"field": part, "message": why} for part, why in faults.items()],
        )
    return answer_json({"status": "ready"})
