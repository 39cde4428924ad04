"""Numbers, dates and links as a reader expects them. The filters of the templates.

A value that is not what a filter formats comes out unchanged: backends also send amounts and dates that
are already text. Nothing here raises for data. Knows no templates and no events.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time, get_timezone_gmt
from babel.numbers import format_currency, format_decimal
from jinja2 import Undefined, pass_context
from jinja2.runtime import Context

DEFAULT_LOCALE = Locale("en")
_CURRENCY = re.compile(r"[A-Za-z]{3}")
_MOST_DIGITS = 30  # "1e999999999" is a number too, and would be written out
_WEB = re.compile(r"https?://[^\s\"'<>\\]+", re.I)
_PATH = re.compile(r"/(?![/\\])[^\s\"'<>\\]*")


@lru_cache(maxsize=1024)
def locale_of(text: str | None) -> Locale:
    """The locale of a BCP 47 or POSIX name (`pt-BR`, `pt_BR`), or of its language, or English."""
    for name in (text, (text or "").replace("_", "-").partition("-")[0]):
        try:
            return Locale.parse((name or "").replace("-", "_"))
        except (ValueError, UnknownLocaleError):
            continue
    return DEFAULT_LOCALE


def timezone_of(text: str | None) -> tzinfo:
    """The time zone of an IANA name, or UTC."""
    try:
        return ZoneInfo(text) if text else UTC
    except (ValueError, OSError, KeyError):
        return UTC


@pass_context
def money(context: Context, value: object) -> object:
    """An amount in the currency the data names as `currency`; without one, just the number."""
    if isinstance(value, Undefined | bool):
        return value
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return value
    if not amount.is_finite() or abs(amount.adjusted()) > _MOST_DIGITS:
        return value
    locale: Locale = context["locale"]
    currency = context.get("currency")
    if isinstance(currency, str) and _CURRENCY.fullmatch(currency):
        return format_currency(amount, currency.upper(), locale=locale)
    return format_decimal(amount, locale=locale)


@pass_context
def day(context: Context, value: object) -> object:
    """The day of an ISO 8601 date or time, in the reader's time zone and words."""
    if not isinstance(value, str):
        return value
    try:
        the_day = _day_of(datetime.fromisoformat(value), context["timezone"])
    except (ValueError, OverflowError):
        return value
    return format_date(the_day, "long", locale=context["locale"])


@pass_context
def clock(context: Context, value: object) -> object:
    """The time of day of an ISO 8601 time, in the reader's time zone: 3:30 PM."""
    when = _moment_of(context, value)
    return value if when is None else _time(when, context["locale"])


@pass_context
def moment(context: Context, value: object) -> object:
    """Day and time of an ISO 8601 time, in the reader's time zone, which is named; of a day only the day."""
    when = _moment_of(context, value)
    if when is None:
        return day(context, value)
    locale: Locale = context["locale"]
    shown = f"{format_date(when.date(), 'long', locale=locale)}, {_time(when, locale)}"
    return shown if when.tzinfo is None else f"{shown} {_zone(when, locale)}"


def _time(when: datetime, locale: Locale) -> str:
    # Many a mail program has no glyph for the narrow space before AM.
    return format_time(when, "short", locale=locale).replace("\u202f", "\u00a0")


def _zone(when: datetime, locale: Locale) -> str:
    """MEZ where the reader's language has a name for it, else GMT+07:00."""
    name = format_time(when, "z", locale=locale)
    return name if name.isalpha() else get_timezone_gmt(when, "long", locale=locale)


def _moment_of(context: Context, value: object) -> datetime | None:
    if not isinstance(value, str) or ("T" not in value and " " not in value):
        return None
    try:
        when = datetime.fromisoformat(value)
        return when if when.tzinfo is None else when.astimezone(context["timezone"])
    except (ValueError, OverflowError):
        return None


@pass_context
def plural(context: Context, value: object, one: str, other: str) -> str:
    """A number with the right word behind it: 1 day, 3 days."""
    language = Locale.parse(context["language"])
    try:
        number = Decimal(str(value))
        form = language.plural_form(number)
    except (InvalidOperation, ValueError, OverflowError):
        return f"{value} {other}"
    return f"{format_decimal(number, locale=context['locale'])} {one if form == 'one' else other}"


def cut(value: object, most: int) -> object:
    """The first `most` characters of a text or a number; anything else as it is."""
    return str(value)[:most] if isinstance(value, str | int | float) else value


def _day_of(moment: datetime, zone: tzinfo) -> date:
    # Midnight in UTC is how a day without a time is written by JSON.stringify: it is that day everywhere.
    if moment.tzinfo is None or moment.astimezone(UTC).time() == time(0):
        return moment.date()
    return moment.astimezone(zone).date()


def url_filter(public_url: str | None) -> Callable[[object], str]:
    """A filter that makes a link out of a link: absolute http(s), or empty when it is none.

    Paths (`/bookings/17`) are put behind `public_url`; without one they lead nowhere and come out empty.
    """
    start = (public_url or "").rstrip("/")

    def url(value: object) -> str:
        if not isinstance(value, str):
            return ""
        if _WEB.fullmatch(value):
            return value
        return f"{start}{value}" if start and _PATH.fullmatch(value) else ""

    return url
