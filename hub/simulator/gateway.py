"""An SMS gateway of the plain kind: JSON or a form with a key; 200 with a code that says what came of it."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from hub.simulator.twin import Ask, Callback, Refused, Reply, Taken, after

KEY = "the-simulators-gateway-key"
_NUMBER = re.compile(r"\+?\d{7,15}")


class Gateway:
    name = "gateway"
    paths = ("/sms",)

    def __init__(self) -> None:
        self._sent = 0

    def take(self, ask: Ask, now: float) -> Taken:
        try:
            form = ask.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")
            fields = dict(parse_qsl(ask.body.decode())) if form else ask.json()
        except ValueError:
            raise Refused(Reply(400, {"code": "98", "message": "not JSON"})) from None
        if fields.get("key") != KEY and ask.headers.get("Authorization") != f"Bearer {KEY}":
            raise Refused(Reply(401, {"code": "101", "message": "the key is wrong"}))
        if not _NUMBER.fullmatch(str(fields.get("to", ""))):
            raise Refused(Reply(200, {"code": "104", "message": "the number is wrong"}))
        if not fields.get("text"):
            raise Refused(Reply(200, {"code": "105", "message": "the text is empty"}))
        self._sent += 1
        id = f"sms-{self._sent}"
        reference = fields.get("reference")
        return Taken(
            reply=Reply(200, {"code": "100", "id": id}),
            to=str(fields["to"]),
            message=fields,
            deliveries=(reference,) if reference else (),
            id=id,
        )

    def fault(self, status: int, retry_after: float | None) -> Reply:
        return Reply(status, {"code": "99", "message": "as the script says"}, after(retry_after))

    def callbacks(self, taken: Taken, word: str, now: float) -> list[Callback]:
        return []
