"""The simulator as a server: requests pass the script of faults, their twin and the ledger; callbacks follow.

`Simulator` runs in the loop of whoever opens it, on one port for all providers. Its own pages: `/` shows the
ledger (HTML, or JSON for everyone but browsers), `/script/{provider}` takes words by POST and forgets them
by DELETE, `POST /push` makes a subscription, `DELETE` of a webhook or a subscription removes it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import aiohttp
from aiohttp import hdrs, web

from hub.simulator import pages
from hub.simulator.discord import Discord
from hub.simulator.gateway import Gateway
from hub.simulator.ledger import Entry, Ledger, Said
from hub.simulator.resend import Resend
from hub.simulator.script import ACCEPT_RESET, HANG, RESET, Script, Word
from hub.simulator.sendgrid import SendGrid
from hub.simulator.twilio import Twilio
from hub.simulator.twin import Ask, Callback, Refused, Reply, Taken, Twin
from hub.simulator.webpush import WebPush

MAX_BODY = 4 << 20
CALLBACK_TRIES, CALLBACK_SECONDS = 6, 5.0


class Simulator:
    """`hub_url`: where the webhooks of SendGrid and Resend are configured to point; None: nowhere.

    `callback_delay`: seconds between taking a message and each thing that is said about it.
    """

    def __init__(
        self,
        *,
        hub_url: str | None = None,
        callback_delay: float = 0.1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.ledger = Ledger()
        self.twilio, self.discord, self.webpush, self.gateway = Twilio(), Discord(), WebPush(), Gateway()
        self.sendgrid, self.resend = SendGrid(), Resend()
        self.point_webhooks(hub_url)
        twins: tuple[Twin, ...] = (
            *(self.twilio, self.sendgrid, self.resend),
            *(self.discord, self.webpush, self.gateway),
        )
        self._twins = {twin.name: twin for twin in twins}
        self._scripts = {name: Script() for name in self._twins}
        self._delay = callback_delay
        self._clock = clock
        self._background: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._http: aiohttp.ClientSession | None = None
        self.url = ""

    # -- life ----------------------------------------------------------------------------------------
    async def open(self, port: int, host: str = "127.0.0.1") -> None:
        """Answer on `port`. Raises OSError when it is taken."""
        self._ended.clear()
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALLBACK_SECONDS))
        # Not handler_cancellation: a client that gives up has still handed its message over.
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self.url = f"http://{host}:{port}"

    async def close(self) -> None:
        """Nobody answers any more. `open` brings it back, with its ledger and its scripts."""
        self._ended.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._http is not None:
            await self._http.close()

    # -- what one tells it ---------------------------------------------------------------------------
    def point_webhooks(self, hub_url: str | None) -> None:
        """Configure the webhooks of SendGrid and Resend."""
        for twin in (self.sendgrid, self.resend):
            twin.webhook = f"{hub_url}/providers/{twin.name}/events" if hub_url else None

    def say(self, provider: str, *words: str) -> None:
        """What the next requests to `provider` get. Raises KeyError, ValueError."""
        self._scripts[provider].say(*words)

    def forget(self, provider: str | None = None) -> None:
        """Everything goes well again."""
        for name, script in self._scripts.items():
            if provider in (None, name):
                script.clear()

    def subscribe(self) -> dict[str, Any]:
        """A new push subscription, as a browser would hand it over."""
        return self.webpush.subscribe(self.url)

    async def call_back(self, provider: str, callback: Callback, deliveries: Iterable[str] = ()) -> int:
        """Send one callback, once; the status it got, 0 for none."""
        assert self._http is not None
        try:
            async with self._http.post(
                callback.url, data=callback.body, headers=callback.headers, allow_redirects=False
            ) as answer:
                status = answer.status
        except (aiohttp.ClientError, OSError, TimeoutError):
            status = 0
        said = Said(
            provider=provider,
            event=callback.event,
            at=self._clock(),
            deliveries=tuple(deliveries),
            answer=status,
        )
        self.ledger.said(said)
        return status

    # -- requests ------------------------------------------------------------------------------------
    def _app(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY)
        for twin in self._twins.values():
            for path in twin.paths:
                app.router.add_post(path, self._handler(twin))
        app.router.add_get("/", self._show)
        app.router.add_delete("/", self._clear)
        app.router.add_post("/script/{provider}", self._script)
        app.router.add_delete("/script/{provider}", self._script)
        app.router.add_post("/push", self._subscribe)
        app.router.add_delete("/push/{subscription}", self._unsubscribe)
        app.router.add_delete("/api/webhooks/{webhook}/{token}", self._delete_webhook)
        return app

    def _handler(self, twin: Twin) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            ask = Ask(
                url=str(request.url),
                headers=request.headers,
                query=request.query,
                places=request.match_info,
                body=await request.read(),
            )
            word = self._scripts[twin.name].next()
            if not word.takes:
                return await self._trouble(request, twin, word)
            now = self._clock()
            try:
                taken = twin.take(ask, now)
            except Refused as refusal:
                return _answer(self._refuse(twin, word, refusal.reply))
            self._note(twin, word, taken.reply.status, taken=taken)
            if not taken.again:
                self._follow(twin, taken, word)
            if word.name == ACCEPT_RESET:
                return _cut(request)
            return _answer(taken.reply)

        return handle

    async def _trouble(self, request: web.Request, twin: Twin, word: Word) -> web.StreamResponse:
        if word.name == RESET:
            self._note(twin, word, 0, problem="cut")
            return _cut(request)
        if word.name == HANG:
            self._note(twin, word, 0, problem="no answer")
            await self._ended.wait()
            return _cut(request)
        return _answer(self._refuse(twin, word, twin.fault(word.status, word.retry_after)))

    def _refuse(self, twin: Twin, word: Word, reply: Reply) -> Reply:
        self._note(twin, word, reply.status, problem=pages.dump(reply.body))
        return reply

    def _note(
        self, twin: Twin, word: Word, answer: int, *, taken: Taken | None = None, problem: str | None = None
    ) -> None:
        about: dict[str, Any] = {}
        if taken is not None:
            about = {"again": taken.again, "deliveries": taken.deliveries, "to": taken.to}
            about |= {"id": taken.id, "message": taken.message}
        entry = Entry(
            number=self.ledger.next_number(),
            provider=twin.name,
            at=self._clock(),
            word=word.name,
            answer=answer,
            taken=taken is not None,
            problem=problem,
            **about,
        )
        self.ledger.note(entry)

    # -- callbacks -----------------------------------------------------------------------------------
    def _follow(self, twin: Twin, taken: Taken, word: Word) -> None:
        task = asyncio.create_task(self._say_later(twin, taken, word.name))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _say_later(self, twin: Twin, taken: Taken, word: str) -> None:
        for callback in twin.callbacks(taken, word, self._clock()):
            wait = self._delay
            for _ in range(CALLBACK_TRIES):
                await asyncio.sleep(wait)
                status = await self.call_back(twin.name, callback, taken.deliveries)
                if 0 < status < 500:
                    break
                wait = 2 * wait + 0.1

    # -- its own pages -------------------------------------------------------------------------------
    async def _show(self, request: web.Request) -> web.Response:
        state = pages.state(self.ledger, request.query.get("provider") or None)
        if "text/html" in request.headers.get(hdrs.ACCEPT, ""):
            return web.Response(text=pages.html(state), content_type="text/html", headers=pages.HEADERS)
        return web.Response(text=pages.dump(state), content_type="application/json")

    async def _clear(self, _request: web.Request) -> web.Response:
        self.ledger.clear()
        self.forget()
        return web.Response(status=204)

    async def _script(self, request: web.Request) -> web.Response:
        name = request.match_info["provider"]
        if name not in self._scripts:
            raise web.HTTPNotFound(text=f"a provider is one of {', '.join(self._scripts)}\n")
        if request.method == hdrs.METH_DELETE:
            self.forget(name)
            return web.Response(status=204)
        try:
            self.say(name, *(await request.text()).replace(",", " ").split())
        except ValueError as fault:
            raise web.HTTPBadRequest(text=f"{fault}\n") from None
        return web.Response(status=204)

    async def _subscribe(self, _request: web.Request) -> web.Response:
        return web.json_response(self.subscribe(), status=201)

    async def _unsubscribe(self, request: web.Request) -> web.Response:
        self.webpush.unsubscribe(request.path)
        return web.Response(status=204)

    async def _delete_webhook(self, request: web.Request) -> web.Response:
        self.discord.delete(request.match_info["webhook"])
        return web.Response(status=204)


def _answer(reply: Reply) -> web.Response:
    text = None if reply.body is None else pages.dump(reply.body)
    headers: Mapping[str, str] = reply.headers
    return web.Response(status=reply.status, text=text, headers=headers, content_type="application/json")


def _cut(request: web.Request) -> web.Response:
    """End the connection by a reset instead of an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
