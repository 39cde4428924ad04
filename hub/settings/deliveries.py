"""When and how often something is sent: attempts, budgets, countries, reports, and tenants' own templates."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import field_validator
from pydantic_settings import NoDecode

from hub.settings.names import COMMAS, Theme, setting


class Deliveries(Theme):
    template_bytes: int = setting(32 << 10, "largest template of a tenant's own", ge=256, le=1 << 20)
    template_steps: int = setting(
        10_000, "steps (of loops, calls) one rendering of a tenant's own template may take", ge=100
    )
    template_characters: int = setting(
        256 << 10, "characters one rendering of a tenant's own template may make", ge=1024
    )
    templates_per_tenant: int = setting(200, "templates of its own a tenant may have", ge=0)
    delivery_attempts: int = setting(8, "attempts before a delivery is dead", ge=1)
    delivery_lease: float = setting(60.0, "seconds a worker may hold a delivery", gt=0)
    delivery_backoff: float = setting(10.0, "seconds before the second attempt; doubles, with jitter", gt=0)
    delivery_backoff_max: float = setting(3600.0, "longest wait between attempts, in seconds", gt=0)
    budget_email_per_tenant: int | None = setting(None, "mails of one tenant a day; unset: no limit", ge=1)
    budget_email_per_address: int | None = setting(
        None, "mails to one address a day, of one tenant; unset: no limit", ge=1
    )
    budget_sms_per_tenant: int | None = setting(1000, "SMS of one tenant a day", ge=1)
    budget_sms_per_address: int | None = setting(20, "SMS to one number a day, of one tenant", ge=1)
    budget_discord_per_tenant: int | None = setting(
        None, "Discord messages of one tenant a day; unset: no limit", ge=1
    )
    budget_discord_per_address: int | None = setting(
        None, "Discord messages to one webhook a day, of one tenant; unset: no limit", ge=1
    )
    budget_webpush_per_tenant: int | None = setting(None, "pushes of one tenant a day; unset: no limit", ge=1)
    budget_webpush_per_address: int | None = setting(
        None, "pushes to one browser a day, of one tenant; unset: no limit", ge=1
    )
    sms_countries: Annotated[list[str], NoDecode, COMMAS] | None = setting(
        None,
        "countries that get SMS, as two letters (ISO 3166) separated by commas; `*`: all; unset: all in "
        "development, none in production",
    )
    sweep_seconds: float = setting(5.0, "seconds between looks for deliveries that are due", gt=0)
    report_hour: int | None = setting(
        None, "hour from which admins get a report of the day before; unset: none", ge=0, le=23
    )
    report_timezone: str = setting("UTC", "IANA time zone of that hour, and of the day")
    worker_concurrency: int = setting(32, "deliveries one worker process sends at once", ge=1)

    @field_validator("report_timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            return ZoneInfo(value).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("not a time zone of the IANA database, such as Asia/Ho_Chi_Minh") from None

    @property
    def countries(self) -> frozenset[str] | None:
        """The countries that get SMS; None: all."""
        if self.sms_countries is None:
            return None if self.development else frozenset()
        return None if "*" in self.sms_countries else frozenset(map(str.upper, self.sms_countries))
