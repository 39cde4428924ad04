"""SMS by Twilio's own SDK. Twilio knows no idempotency key: what has no answer may have been sent.

Where a public address of the hub is known, Twilio is asked to say there what becomes of the message. Knows no
delivery states.
"""

from __future__ import annotations

import logging
import threading
from typing import Any
from urllib.parse import urlsplit

import requests
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from hub.domain.message import Message
from hub.providers.answers import refused
from hub.providers.receipt import Outcome, Permanent, Receipt, Temporary
from hub.providers.threads import Threads
from hub.providers.unanswered import unanswered

URL = "https://api.twilio.com"
CALL_SECONDS = 10.0
MAX_TEXT = 1600
# Twilio's error codes for numbers that will not do: invalid, unsubscribed by STOP, not mobile.
_GONE = frozenset({21211, 21610, 21614})
_answer = threading.local()


class Twilio:
    """`sender` is a number, or the id of a messaging service (MG...). `callback`: where states are heard of.

    `timeout` is in seconds, for one message in all; `threads` are the calls at once.
    """

    name = "twilio"

    def __init__(
        self,
        account: str,
        token: str,
        *,
        sender: str,
        url: str = URL,
        callback: str | None = None,
        timeout: float = 15.0,
        threads: int = 16,
    ) -> None:
        self._http = _Http(url.rstrip("/"), min(CALL_SECONDS, timeout))
        self._client = Client(account, token, http_client=self._http)
        self._sender = {"messaging_service_sid" if sender.startswith("MG") else "from_": sender}
        self._callback = callback
        self._threads = Threads(self.name, most=threads, timeout=timeout)

    async def send(self, message: Message) -> Outcome:
        text = message.text.strip()
        fields: dict[str, Any] = {
            **self._sender,
            "to": message.address,
            "body": text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…",
        }
        if self._callback is not None:
            fields["status_callback"] = f"{self._callback}?delivery={message.id}"
        return await self._threads.run(lambda: self._call(fields))

    async def close(self) -> None:
        self._threads.close()
        self._http.session.close()

    def _call(self, fields: dict[str, Any]) -> Outcome:
        _answer.status, _answer.retry_after = 0, None
        try:
            return Receipt(self._client.messages.create(**fields).sid)
        except TwilioRestException as refusal:
            if refusal.code in _GONE:
                return Permanent(f"{refusal.status} {refusal.code} {refusal.msg}", gone=True)
            return refused(refusal.status, f"{refusal.code} {refusal.msg}", _answer.retry_after)
        except requests.RequestException as fault:
            return unanswered("Twilio", fault)
        except (TwilioException, ValueError, KeyError) as fault:  # an answer that is none of Twilio's
            if _answer.status >= 400:
                return refused(_answer.status, type(fault).__name__, _answer.retry_after)
            return Temporary(f"the answer of Twilio cannot be read: {type(fault).__name__}", unsure=True)


class _Http(TwilioHttpClient):  # type: ignore[misc]  # the SDK has no types
    """The SDK's HTTP, to `base`, with a timeout; it keeps the wait that an answer asks for."""

    def __init__(self, base: str, seconds: float) -> None:
        # Its own logger would show every answer's headers.
        super().__init__(timeout=seconds, logger=logging.Logger("twilio", logging.WARNING))
        self._base = base

    def request(self, method: str, url: str, *args: Any, **options: Any) -> Response:
        parts = urlsplit(url)
        response = super().request(method, f"{self._base}{parts.path}", *args, **options)
        _answer.status, _answer.retry_after = response.status_code, response.headers.get("Retry-After")
        return response
