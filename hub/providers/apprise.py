"""Any of Apprise's services, for what admins are told: each message goes to every URL that is configured.

An optional extra. What is for one person is refused: it is nobody else's. Services of this machine
(`syslog://`, `dbus://`, `file://`) are refused, and so are hosts that are not public, each time anew. Apprise
hides what a service answers, so a failure is always one to be tried again. Knows no delivery states.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from hub.domain.access import ADMIN
from hub.domain.message import Message
from hub.providers.receipt import Outcome, Permanent, Receipt, Temporary
from hub.providers.targets import TargetRefused, Targets
from hub.providers.threads import Threads

ADMINS = f"role:{ADMIN}"  # the user of a delivery to all of them
# What Apprise writes to on this machine, beside the services whose URLs name nothing.
_LOCAL = frozenset({"file", "syslog", "blink1"})
_KINDS = {"success": "success", "warning": "warning", "error": "failure", "critical": "failure"}


class AppriseRefused(ValueError):
    """Apprise is not installed, or does not know a URL, or it leads where nothing may be sent."""


class Apprise:
    """`timeout` is in seconds, for all URLs together. Raises `AppriseRefused`, without the URL."""

    name = "apprise"

    def __init__(
        self, urls: Sequence[str], targets: Targets, *, timeout: float = 15.0, threads: int = 4
    ) -> None:
        self._targets = targets
        self._services = [_service(number, url) for number, url in enumerate(urls, 1)]
        self._threads = Threads(self.name, most=threads, timeout=timeout)

    def takes(self, message: Message) -> bool:
        """Whether it is for the admins together."""
        return message.user == ADMINS

    async def send(self, message: Message) -> Outcome:
        if not self.takes(message):
            return Permanent("Apprise is for what all admins are told")
        return await self._threads.run(lambda: self._call(message))

    async def close(self) -> None:
        self._threads.close()

    def _call(self, message: Message) -> Outcome:
        kind, reached = _KINDS.get(message.severity, "info"), 0
        for service in self._services:
            try:
                self._require_public(service)
            except TargetRefused as refused:
                return Permanent(f"no request goes there: {refused}")
            except OSError as fault:
                return Temporary(f"a host is not known: {fault.strerror}")
            reached += bool(service.notify(title=message.subject, body=message.text, notify_type=kind))
        # Those that were reached must not hear it again for the sake of the others.
        return (
            Receipt(f"{reached} of {len(self._services)}") if reached else Temporary("Apprise reached nobody")
        )

    def _require_public(self, service: Any) -> None:
        """Raises `TargetRefused`, OSError. Services with a fixed host name none."""
        if not any("{host}" in template for template in service.templates):
            return
        for *_, place in socket.getaddrinfo(service.host, None):
            self._targets.require_public(ip_address(str(place[0]).partition("%")[0]), name=service.host)


def _service(number: int, url: str) -> Any:
    try:
        import apprise
    except ImportError:
        raise AppriseRefused("Apprise is not installed: pip install realtime-hub[apprise]") from None
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it would show URLs, which are keys
    service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if service is None:
        raise AppriseRefused(f"Apprise does not know URL number {number}")
    schema = url.partition(":")[0].lower()
    templates: tuple[str, ...] = service.templates
    fixed = all("{" not in template.partition("://")[2] for template in templates)
    if fixed or schema in _LOCAL:
        raise AppriseRefused(f"URL number {number} ({schema}://) stays on this machine")
    return service
