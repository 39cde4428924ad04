"""Every setting, with its default and its one line of documentation.

A setting `x` is read from `HUB_X`, or from the older name listed with it. Unset, everything falls back
to development defaults that need nothing from outside. `require_safe` is the production rule: it refuses
to start and says which setting to change. Only the command line and `app.py` read settings; everything
below is told what it needs.
"""

from __future__ import annotations

from hub.settings.access import DEVELOPMENT_KEY, DEVELOPMENT_SECRET, MIN_SECRET_BYTES, Access
from hub.settings.deliveries import Deliveries
from hub.settings.limits import Limits
from hub.settings.names import ALIASES, SettingsRefused, names, seconds
from hub.settings.process import Process
from hub.settings.providers import Providers
from hub.settings.streams import Streams

__all__ = [
    "ALIASES",
    "DEVELOPMENT_KEY",
    "DEVELOPMENT_SECRET",
    "Settings",
    "SettingsRefused",
    "names",
    "seconds",
]


class Settings(Deliveries, Providers, Streams, Limits, Access, Process):
    """All of them. A table shows the last of these classes first."""

    def require_safe(self) -> None:
        """Raises `SettingsRefused` when production would start unsafe, naming every setting to change.

        A provider that is named and lacks a key is refused everywhere.
        """
        faults = []
        weak = self.jwt_secret is None or self.secret == DEVELOPMENT_SECRET
        if self.jwt_jwks is None and (weak or len(self.secret.encode()) < MIN_SECRET_BYTES):
            faults.append(
                f"JWT_SECRET: needs at least {MIN_SECRET_BYTES} random bytes, "
                "for example the output of: openssl rand -base64 48"
            )
        link_key = self.unsubscribe_key.get_secret_value() if self.unsubscribe_key else None
        if link_key is not None and len(link_key.encode()) < MIN_SECRET_BYTES:
            faults.append(f"HUB_UNSUBSCRIBE_KEY: needs at least {MIN_SECRET_BYTES} random bytes")
        if "*" in self.cors_origin:
            faults.append("CORS_ORIGIN: '*' is refused with credentials; list the origins of your pages")
        if self.database.startswith("sqlite") and self.workers > 1:
            faults.append("DATABASE_URL: SQLite serves one process; use PostgreSQL or HUB_WORKERS=1")
        if self.redis is None:
            faults.append("REDIS_URL: production needs a Redis or Valkey, for example redis://redis:6379/0")
        if not self.email:
            faults.append(
                "EMAIL_HOST: nobody sends mail; name your SMTP server, or a key of SendGrid or Resend"
            )
        for channel in ("email", "sms", "discord", "webpush"):
            if "sandbox" in getattr(self, channel):
                faults.append(f"HUB_{channel.upper()}_PROVIDERS: the sandbox sends nothing")
        if self.webpush and not self.vapid_private_key:
            faults.append("HUB_VAPID_PRIVATE_KEY: web push needs the output of: hub key vapid")
        if self.development:
            faults.clear()
        faults += self.needs()
        if faults:
            raise SettingsRefused("\n".join(faults))
