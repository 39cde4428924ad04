"""What `hub dev` says when it is ready: where it is, who one can be, and one command to try.

The people are those of the demo page, so that what is printed and what is clicked meet.
"""

from __future__ import annotations

import json
import time

from rich.console import Console

from hub.commands.access import make_token
from hub.domain.access import ADMIN, Principal
from hub.settings import DEVELOPMENT_KEY, Settings
from hub.web.demo import HOTELS

TOKEN_SECONDS = 7 * 86400
EXAMPLE = {
    "tenantId": HOTELS[0].id,
    "type": "booking.created",
    "to": f"role:{ADMIN}",
    "data": {"bookingId": "17", "guestName": "Ana", "propertyName": HOTELS[0].name},
}


def greet(settings: Settings, url: str, console: Console | None = None) -> None:
    """Prints it. Tokens and commands stand on lines of their own, unbroken, ready to be copied."""
    out = console or Console(highlight=False)

    def say(text: str = "", style: str | None = None) -> None:
        out.print(text, style=style, soft_wrap=True, markup=False)

    now = time.time()
    say()
    say(f"The hub is ready: {url}/", "bold green")
    say(f"Dashboard: {url}/admin   API: {url}/docs")
    say()
    for hotel in HOTELS:
        for person in hotel.people:
            who = Principal(tenant=hotel.id, user=person.id, roles=(person.role,))
            say(f"{person.id}, {person.role} of {hotel.id}", "bold")
            say(make_token(settings, who, life=TOKEN_SECONDS, now=now), "dim")
    say()
    say("Send a booking to the desk:", "bold")
    say(curl(url))
    say()
    say("Ctrl-C ends everything.", "dim")


def curl(url: str) -> str:
    """One line for a shell that posts a booking with the development key."""
    body = json.dumps(EXAMPLE)
    return (
        f"curl -sS {url}/notifications -H 'Authorization: Bearer {DEVELOPMENT_KEY}' "
        f"-H 'Content-Type: application/json' -d '{body}'"
    )
