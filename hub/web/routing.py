"""How a table of routes becomes an application: who may call a route is part of its entry.

A route's handler is told who calls: nothing for a public one, a `Principal` for a user's, an `ApiKey` for
a backend's, an `Admin` for an admin's. So a handler cannot be reached by anyone its entry does not name.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from aiohttp import hdrs, web

from hub.domain.access import Admin, ApiKey, Principal
from hub.web import credentials, middleware, server_log
from hub.web.context import HUB, Services
from hub.web.entrance import WARNED
from hub.web.looks import Look
from hub.web.origins import ORIGINS, Origins
from hub.web.proxies import TRUSTED, networks
from hub.web.straight import Read

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Access = Literal["public", "user", "notify", "admin", "platform"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One entry. `access`: public, user (a JWT), notify (the scope an API key must have), admin (the role
    ADMIN, or the scope of that name), platform (a key of no tenant with that scope).

    `head`: whether HEAD is answered like GET; a stream has none. `development`: not there in production.
    `short`: many ask it, and its answer is one piece (see `hub.web.short`); its path has no parameters.
    `straight`: reads what can be answered without a request object (see `hub.web.straight`), and so does
    `look` where something is shown (see `hub.web.looks`).
    """

    method: str
    path: str
    handler: Handler
    access: Access
    summary: str
    head: bool = True
    development: bool = False
    short: bool = False
    straight: Read | None = None
    look: Look | None = None


# What an application serves, for whoever describes it.
TABLE: web.AppKey[tuple[Route, ...]] = web.AppKey("table")


def public(method: str, path: str, handler: Handler, summary: str, *, development: bool = False) -> Route:
    """For everyone."""
    return Route(
        method=method, path=path, handler=handler, access="public", summary=summary, development=development
    )


def stream(path: str, handler: Handler, summary: str, *, access: Access) -> Route:
    """An answer without an end; its handler asks for credentials itself, in its own dialect."""
    return Route(method="GET", path=path, handler=handler, access=access, summary=summary, head=False)


def user(
    method: str,
    path: str,
    handler: Callable[[web.Request, Principal], Awaitable[web.StreamResponse]],
    summary: str,
    *,
    development: bool = False,
    short: bool = False,
    look: Look | None = None,
) -> Route:
    """For a user, with a token of theirs."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        return await handler(request, await credentials.principal(request))

    return Route(
        method=method,
        path=path,
        handler=guarded,
        access="user",
        summary=summary,
        development=development,
        short=short,
        look=look,
    )


def backend(
    method: str,
    path: str,
    handler: Callable[[web.Request, ApiKey], Awaitable[web.StreamResponse]],
    summary: str,
    *,
    short: bool = False,
    straight: Read | None = None,
) -> Route:
    """For a backend, with an API key that has the scope `notify`."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        return await handler(request, await credentials.backend(request, "notify"))

    return Route(
        method=method,
        path=path,
        handler=guarded,
        access="notify",
        summary=summary,
        short=short,
        straight=straight,
    )


AdminHandler = Callable[[web.Request, Admin], Awaitable[web.StreamResponse]]


def admin(method: str, path: str, handler: AdminHandler, summary: str) -> Route:
    """For an admin of a tenant or the platform: the role ADMIN, or a key with the scope `admin`."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        return await handler(request, await credentials.admin(request))

    return Route(method=method, path=path, handler=guarded, access="admin", summary=summary)


def platform(method: str, path: str, handler: AdminHandler, summary: str) -> Route:
    """For the whole platform's admin: a key of no tenant with the scope `admin`."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        return await handler(request, await credentials.platform(request))

    return Route(method=method, path=path, handler=guarded, access="platform", summary=summary)


def assemble(hub: Services, routes: Iterable[Route]) -> web.Application:
    """An application of these routes, with everything that happens to every request."""
    options = hub.options
    app = web.Application(middlewares=[middleware.front], client_max_size=options.max_body_bytes)
    app[HUB] = hub
    app[ORIGINS] = Origins(options.cors_origins, development=options.development)
    app[TRUSTED] = networks(options.trusted_proxies)
    app[WARNED] = []
    app[middleware.LOG] = middleware.log.bind()
    app.on_response_prepare.append(middleware.dress)
    server_log.quieten(logging.getLogger("aiohttp.server"))
    served = [route for route in routes if options.development or not route.development]
    app[TABLE] = tuple(served)
    # Side by side, or aiohttp would look for a path's second method behind all the paths between.
    first = {route.path: place for place, route in reversed([*enumerate(served)])}
    for route in sorted(served, key=lambda route: first[route.path]):
        if route.method == hdrs.METH_GET:
            app.router.add_get(route.path, route.handler, allow_head=route.head)
        else:
            app.router.add_route(route.method, route.path, route.handler)
    return app
