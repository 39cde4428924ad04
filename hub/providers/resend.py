"""Mail by Resend's own SDK, with the delivery's id as the Idempotency-Key: a repetition sends nothing twice.

The SDK keeps its key, its URL and its client in globals. Ours is told by the thread that calls, so that
providers with different keys can live in one process. Knows no delivery states.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, cast

import requests
import resend
from resend.exceptions import ResendError

from hub.domain.message import Message
from hub.providers.answers import refused
from hub.providers.mail import Unmailable, extra_headers, one_line, recipient
from hub.providers.receipt import Outcome, Permanent, Receipt, Temporary
from hub.providers.threads import Threads
from hub.providers.unanswered import unanswered

URL = "https://api.resend.com"
CALL_SECONDS = 10.0
_calling = threading.local()


class Resend:
    """`timeout` is in seconds, for one mail in all; `threads` are the calls at once."""

    name = "resend"

    def __init__(
        self, key: str, *, sender: str, url: str = URL, timeout: float = 15.0, threads: int = 16
    ) -> None:
        self._line = _Line(key, url.rstrip("/"), min(CALL_SECONDS, timeout))
        self._sender = sender
        self._threads = Threads(self.name, most=threads, timeout=timeout)

    async def send(self, message: Message) -> Outcome:
        try:
            mail = self._mail(message)
        except Unmailable as fault:
            return Permanent(str(fault))
        return await self._threads.run(lambda: self._call(mail, message.id))

    async def close(self) -> None:
        self._threads.close()
        self._line.session.close()

    def _mail(self, message: Message) -> resend.Emails.SendParams:
        mail: resend.Emails.SendParams = {
            "from": self._sender,
            "to": [recipient(message.address)],
            "subject": one_line(message.subject) or " ",
            "text": message.text or " ",
            "headers": extra_headers(message),
            "tags": [{"name": "delivery", "value": message.id}],
        }
        if message.html:
            mail["html"] = message.html
        return mail

    def _call(self, mail: resend.Emails.SendParams, id: str) -> Outcome:
        _calling.line = self._line
        try:
            return Receipt(resend.Emails.send(mail, {"idempotency_key": id})["id"])
        except ResendError as error:
            if isinstance(error.__context__, requests.RequestException):
                return unanswered("Resend", error.__context__)
            if error.error_type == "invalid_idempotent_request":
                return Receipt()  # it has this delivery's mail already, from an attempt that read otherwise
            headers = {name.lower(): value for name, value in error.headers.items()}
            return refused(int(error.code), error.message, headers.get("retry-after"))
        except KeyError:
            return Temporary("the answer of Resend has no id", unsure=True)


class _Line:
    """Where and as whom to call."""

    def __init__(self, key: str, url: str, seconds: float) -> None:
        self.key = key
        self.url = url
        self.seconds = seconds
        self.session = requests.Session()


class _Client(resend.HTTPClient):
    """The SDK's HTTP for whichever line its thread has."""

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        json: dict[str, object] | list[object] | None = None,
        files: dict[str, Any] | None = None,
        data: dict[str, str] | None = None,
    ) -> tuple[bytes, int, Mapping[str, str]]:
        line: _Line = _calling.line
        answer = line.session.request(
            method,
            f"{line.url}{url}",
            headers={**headers, "Authorization": f"Bearer {line.key}"},
            json=cast(Any, json),
            timeout=line.seconds,
            allow_redirects=False,
        )
        return answer.content, answer.status_code, answer.headers


resend.api_key, resend.api_url = "", ""
resend.default_http_client = _Client()
