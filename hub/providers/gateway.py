"""SMS by any gateway that takes one HTTP request: how it looks, and how success looks, is configured.

URL and body are Jinja templates, success and retry are Jinja expressions; all run in a sandbox that reaches
nothing but the message and the answer. The body's template makes a JSON object; for gateways that want a
form it is sent as one. Knows no gateway in particular.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from hub.domain.message import Message
from hub.providers.answers import refused, short
from hub.providers.calls import Answer, Calls
from hub.providers.receipt import Outcome, Permanent, Receipt, Temporary

BODY = '{"to": {{ to | tojson }}, "text": {{ text | tojson }}}'
SUCCESS = "200 <= status < 300"
Format = Literal["json", "form"]
T = TypeVar("T")


class GatewayMisconfigured(ValueError):
    """A template or an expression cannot be read, or does not make what it must. `part` is which one."""

    def __init__(self, part: str, reason: object) -> None:
        super().__init__(short(reason))
        self.part = part


class Gateway:
    """Templates see `to` (E.164), `number` (its digits), `text`, `id` (the delivery's) and `sender`;
    expressions see `status`, `json` and `text` of the answer. Raises `GatewayMisconfigured`.
    """

    name = "gateway"

    def __init__(
        self,
        calls: Calls,
        url: str,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        body: str = BODY,
        format: Format = "json",
        sender: str = "",
        success: str = SUCCESS,
        retry: str | None = None,
        id: str | None = None,
    ) -> None:
        self._calls = calls
        self._method = method.upper()
        kind = "application/json" if format == "json" else "application/x-www-form-urlencoded"
        self._headers = {"Content-Type": kind, **(headers or {})}
        self._form = format == "form"
        self._sender = sender
        plain = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
        self._url = _read("url", plain.from_string, url)
        self._body = _read("body", plain.from_string, body)
        self._success = _read("success", plain.compile_expression, success)
        self._retry = _read("retry", plain.compile_expression, retry or "false")
        self._id = _read("id", plain.compile_expression, id or "none")
        self._request({"to": "+84900000000", "number": "84900000000", "text": "x", "id": "x", "sender": "x"})

    async def send(self, message: Message) -> Outcome:
        words = {
            "to": message.address,
            "number": message.address.removeprefix("+"),
            "text": message.text.strip(),
            "id": message.id,
            "sender": self._sender,
        }
        try:
            url, body = self._request(words)
        except GatewayMisconfigured as fault:  # a template that some texts break
            return Permanent(f"the gateway's {fault.part} cannot be made: {fault}")
        answer = await self._calls.ask(self._method, url, headers=self._headers, data=body)
        return self._judge(answer) if isinstance(answer, Answer) else answer

    async def close(self) -> None:
        await self._calls.close()

    def _request(self, words: Mapping[str, str]) -> tuple[str, bytes | None]:
        """The URL and the body for these words. Raises `GatewayMisconfigured`."""
        url = _read("url", self._url.render, words)
        if self._method == "GET":
            return url, None
        body = _read("body", self._body.render, words)
        fields = _read("body", json.loads, body)
        if not self._form:
            return url, body.encode()
        if not isinstance(fields, dict):
            raise GatewayMisconfigured("body", "a form is made of an object")
        return url, urlencode(fields).encode()

    def _judge(self, answer: Answer) -> Outcome:
        seen: dict[str, Any] = {"status": answer.status, "json": answer.json(), "text": answer.text}
        try:
            if self._success(**seen):
                id = self._id(**seen)
                return Receipt(None if id is None else str(id))
            if self._retry(**seen):
                return Temporary(short(f"{answer.status} {answer.text}"))
        except (TemplateError, TypeError, ValueError, ArithmeticError) as fault:
            return Temporary(f"the answer cannot be judged: {short(fault)}", unsure=True)
        if 200 <= answer.status < 400:
            return Permanent(short(f"{answer.status} {answer.text}"))
        return refused(answer.status, answer.text, answer.headers.get("Retry-After"))


def _read(part: str, how: Callable[[Any], T], what: Any) -> T:
    try:
        return how(what)
    except (TemplateError, ValueError) as fault:
        raise GatewayMisconfigured(part, fault) from fault
