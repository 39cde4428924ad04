"""Every error code explained: the page that a problem's `type` leads to, and a part of the documentation.

The words are those of the refusals themselves; some codes belong to HTTP or to connections and stand here.
"""

from __future__ import annotations

import re
from html import escape
from typing import NamedTuple

from aiohttp import web

from hub.domain.errors import Missing, all_refusals, explanation

_CSP = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
_STYLE = (
    ":root{color-scheme:light dark}body{font:17px/1.6 system-ui;max-width:40rem;margin:4rem auto;"
    "padding:0 1rem}"
    "code{font-family:ui-monospace,monospace;font-size:.92em}dt{font-weight:600;margin-top:1rem}dd{margin:0}"
)
_CODE = re.compile(r"`([^`]+)`")


class Explained(NamedTuple):
    """One code. `status` None: no HTTP answer has it, `error` and `session:closed` do. `retryable`: the same
    may succeed later."""

    code: str
    status: int | None
    title: str
    retryable: bool
    meaning: str
    remedy: str


_OF_HTTP = (
    Explained(
        "method_not_allowed",
        405,
        "Method not allowed",
        False,
        "The path exists, this method does not.",
        "The header `Allow` lists the methods.",
    ),
    Explained(
        "internal_error",
        500,
        "Internal error",
        True,
        "The hub made a mistake.",
        "Its log has the details under the answer's `X-Request-Id`; send both to who runs it.",
    ),
)
_OF_CONNECTIONS = (
    Explained(
        "internal",
        None,
        "Internal error",
        True,
        "The hub made a mistake with an event of a client.",
        "Its log has the details; the connection goes on.",
    ),
    Explained(
        "disconnected",
        None,
        "Disconnected",
        False,
        "An admin ended the connection.",
        "Do not come back by yourself; whoever is at the screen may.",
    ),
    Explained(
        "taken_over",
        None,
        "Taken over",
        False,
        "The client has come back on another connection, by its `pid`.",
        "Nothing: the other connection goes on.",
    ),
)


def explained() -> dict[str, Explained]:
    """Every code that an HTTP answer or an event can have, by status."""
    found = [
        Explained(kind.code, kind.status, kind.title, kind.retryable, *explanation(kind))
        for kind in all_refusals()
    ]
    every = sorted((*found, *_OF_HTTP, *_OF_CONNECTIONS), key=lambda one: (one.status or 1000, one.code))
    return {one.code: one for one in every}


async def error(request: web.Request) -> web.Response:
    """`GET /errors/{code}`. Raises `Missing`."""
    found = explained().get(request.match_info["code"])
    if found is None:
        raise Missing("no such error code")
    again = "It may work later." if found.retryable else "It will be the same again."
    facts = {
        "Code": f"<code>{found.code}</code>",
        "Status": str(found.status or "none: it comes on a connection"),
        "What it means": _html(found.meaning),
        "What to do": _html(found.remedy),
        "Sent again": again,
    }
    listed = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())
    text = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(found.title)}</title>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<style>{_STYLE}</style><h1>{escape(found.title)}</h1><dl>{listed}</dl>"
    )
    return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": _CSP})


def _html(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text))
