"""Mail by SendGrid's own SDK. 202 means that SendGrid has it; what becomes of it comes by the Event Webhook.

The delivery's id travels as a custom argument and comes back with every event. Knows no delivery states.
"""

from __future__ import annotations

from email.utils import parseaddr
from http.client import HTTPException
from typing import Any
from urllib.error import URLError

from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient

from hub.domain.message import Message
from hub.providers.answers import refused, short
from hub.providers.mail import Unmailable, extra_headers, one_line, recipient
from hub.providers.receipt import Outcome, Permanent, Receipt, Temporary
from hub.providers.threads import Threads

URL = "https://api.sendgrid.com"
CALL_SECONDS = 10.0  # for each of connecting, sending and waiting; the SDK itself waits for ever


class SendGrid:
    """`timeout` is in seconds, for one mail in all; `threads` are the calls at once."""

    name = "sendgrid"

    def __init__(
        self, key: str, *, sender: str, url: str = URL, timeout: float = 15.0, threads: int = 16
    ) -> None:
        self._sender = parseaddr(sender)
        self._client = SendGridAPIClient(key, host=url.rstrip("/"))
        self._seconds = min(CALL_SECONDS, timeout)
        self._threads = Threads(self.name, most=threads, timeout=timeout)

    async def send(self, message: Message) -> Outcome:
        try:
            mail = self._mail(message)
        except Unmailable as fault:
            return Permanent(str(fault))
        return await self._threads.run(lambda: self._call(mail))

    async def close(self) -> None:
        self._threads.close()

    def _mail(self, message: Message) -> dict[str, Any]:
        name, address = self._sender
        content = [{"type": "text/plain", "value": message.text or " "}]
        if message.html:
            content.append({"type": "text/html", "value": message.html})
        return {
            "personalizations": [
                {
                    "to": [{"email": recipient(message.address)}],
                    "headers": extra_headers(message),
                    "custom_args": {"delivery": message.id},
                }
            ],
            "from": {"email": address, **({"name": name} if name else {})},
            "subject": one_line(message.subject) or " ",
            "content": content,
        }

    def _call(self, mail: dict[str, Any]) -> Outcome:
        try:
            answer = self._client.client.mail.send.post(request_body=mail, timeout=self._seconds)
        except HTTPError as refusal:
            return refused(refusal.status_code, _said(refusal), refusal.headers.get("Retry-After"))
        except URLError as fault:  # raised until the request is out
            return Temporary(f"the connection to SendGrid failed: {short(fault.reason)}")
        except (OSError, HTTPException) as fault:
            return Temporary(f"no answer from SendGrid: {type(fault).__name__}", unsure=True)
        return Receipt(answer.headers.get("X-Message-Id"))


def _said(refusal: HTTPError) -> str:
    """What SendGrid's errors say, without the text around them."""
    try:
        return "; ".join(str(error["message"]) for error in refusal.to_dict["errors"])
    except (ValueError, KeyError, TypeError):
        return str(refusal.reason)
