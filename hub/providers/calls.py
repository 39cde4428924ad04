"""HTTP calls by aiohttp to where somebody else has said, guarded by `targets`; every failure is an outcome.

A call ends within its timeout, reads at most MAX_ANSWER bytes, follows no redirect, uses no proxy. Whether
the request had left when the answer failed to come is known, and said. Knows no provider.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import aiohttp
import orjson

from hub.providers.answers import short
from hub.providers.receipt import Permanent, Temporary
from hub.providers.targets import PublicResolver, TargetRefused, Targets

MAX_ANSWER = 64 << 10
_KEEPALIVE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A status came back. `headers` ignore case; a body that broke off is what had come of it."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON; an empty dict when it is none."""
        try:
            return orjson.loads(self.body)
        except ValueError:
            return {}

    def object(self) -> dict[str, Any]:
        """The body as a JSON object; an empty one when it is none."""
        found = self.json()
        return found if isinstance(found, dict) else {}

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


class Calls:
    """`timeout` is in seconds, for one call in all."""

    def __init__(self, targets: Targets, *, timeout: float) -> None:
        self.timeout = timeout
        self._targets = targets
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self,
        method: str,
        url: str,
        *,
        hosts: Collection[str] = (),
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer | Temporary | Permanent:
        """One request. An answer of any status is an `Answer`."""
        sent = SimpleNamespace(written=False)
        try:
            target = self._targets.require(url, hosts=hosts)
            async with (
                asyncio.timeout(self.timeout),
                self._open().request(
                    method,
                    target.update_query(query) if query else target,
                    headers=headers,
                    data=data,
                    allow_redirects=False,
                    trace_request_ctx=sent,
                ) as response,
            ):
                return Answer(response.status, response.headers, await _read(response))
        except TargetRefused as refused:
            return Permanent(f"no request goes there: {refused}", gone=refused.for_good)
        except aiohttp.InvalidURL:  # such as an address in a spelling that only resolvers understand
            return Permanent("no request goes there: not a URL", gone=True)
        except (TimeoutError, aiohttp.ServerTimeoutError):
            return Temporary(f"no answer within {self.timeout:g} s", unsure=sent.written)
        except (aiohttp.ClientError, OSError) as fault:
            return Temporary(f"the connection failed: {short(type(fault).__name__)}", unsure=sent.written)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        """The session; it belongs to the loop of the first call."""
        if self._session is None:
            trace = aiohttp.TraceConfig()
            trace.on_request_headers_sent.append(_written)
            connector = aiohttp.TCPConnector(
                resolver=PublicResolver(self._targets),
                use_dns_cache=False,  # an address is judged when it is used
                limit=0,
                keepalive_timeout=_KEEPALIVE_SECONDS,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                trace_configs=[trace],
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


async def _written(_session: aiohttp.ClientSession, context: Any, _params: Any) -> None:
    context.trace_request_ctx.written = True


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    try:
        while len(body) < MAX_ANSWER and (chunk := await response.content.read(MAX_ANSWER - len(body))):
            body += chunk
    except (aiohttp.ClientError, OSError, TimeoutError):
        pass  # the status is the answer
    return body
