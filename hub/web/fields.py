"""The fields of request bodies: their types, their limits, and how their faults are worded.

Names in JSON are camelCase; unknown ones are refused, so that a misspelt field is never silently
ignored. All faults of a body are reported at once. Nothing here knows what the fields are for.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError

from hub.domain.access import TENANT_PATTERN, Room
from hub.domain.errors import RoomInvalid, ValidationFailed
from hub.domain.events import is_protocol_name
from hub.domain.phones import e164

# Characters at most.
MAX_TYPE, MAX_LINE, MAX_LINES, MAX_LINK = 128, 256, 8192, 2048
_SPACE = re.compile(r"\s")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_EMAIL = re.compile(r'[^\s@<>,;:"()\[\]\\\x00-\x20\x7f]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?')
_LOCALE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,4}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
# A link is clicked in somebody's browser, where these would run or show what the sender wrote.
_DANGEROUS = frozenset({"javascript", "data", "vbscript", "file", "blob"})
_DISCORD = re.compile(r"(?:(?:ptb|canary)\.)?discord(?:app)?\.com")

# What pydantic calls it -> what a sender reads. `{x}` is filled from the error's own context.
_WORDS = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "string_type": "must be text",
    "string_too_short": "may not be empty",  # nothing has a longer minimum
    "string_too_long": "may have at most {max_length} characters",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "list_type": "must be a list",
    "too_short": "may not be empty",
    "too_long": "may have at most {max_length} entries",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "greater_than_equal": "must be at least {ge:.10g}",
    "less_than_equal": "must be at most {le:.10g}",
    "bool_type": "must be true or false",
    "literal_error": "must be {expected}",
    "none_required": "is not supported: leave it out",
}


class Form(BaseModel):
    """A request body, or an object in one."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel, frozen=True)


Model = TypeVar("Model", bound=Form)


class Faults:
    """Everything that is wrong with one request. `field` is a path: `to.2`, `data`."""

    def __init__(self) -> None:
        self.errors: list[dict[str, str]] = []

    def add(self, field: str, message: str) -> None:
        self.errors.append({"field": field, "message": message})

    def require_none(self) -> None:
        """Raises `ValidationFailed` with all of them."""
        if self.errors:
            raise ValidationFailed(errors=self.errors)


def read(form: type[Model], value: Any, faults: Faults, *, prefix: str = "") -> Model | None:
    """`value` as a form, or None with its faults added under `prefix`."""
    if not isinstance(value, dict):
        faults.add(prefix or "body", "must be an object")
        return None
    try:
        return form.model_validate(value)
    except ValidationError as wrong:
        for error in wrong.errors(include_url=False, include_input=False):
            place = [part for part in error["loc"] if part != "[key]"]  # pydantic's word for a name itself
            path = ".".join(str(part) for part in (*([prefix] if prefix else []), *place))
            faults.add(path[:200], _word(error))
        return None


def _word(error: ErrorDetails) -> str:
    word = _WORDS.get(error["type"])
    return word.format(**error.get("ctx", {})) if word else error["msg"]


def refuse(message: str) -> PydanticCustomError:
    """What a validator raises; the message follows the field's name."""
    return PydanticCustomError("refused", "{message}", {"message": message})


def _number_as_text(value: Any) -> Any:
    """Ids are text; programs that keep them as integers may send integers."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _one_line(value: str) -> str:
    if not value.isprintable() and _CONTROL.search(value):
        raise refuse("may not hold line breaks or control characters")
    return value


def require_type(value: str) -> str:
    if is_protocol_name(value):
        raise refuse("is a name of the protocol itself; an event is named noun.verb, such as booking.created")
    return _one_line(value)


def require_lines(value: str) -> str:
    if not value.isprintable() and _CONTROL_BUT_LINES.search(value):
        raise refuse("may not hold control characters")
    return value


def _user(value: str) -> str:
    return _name("user", value)


def _role(value: str) -> str:
    return _name("role", value)


def _name(kind: str, value: str) -> str:
    try:  # what cannot be a room cannot be a name
        return Room.parse("any", f"{kind}:{value}").name
    except RoomInvalid:
        raise refuse("must be 1 to 128 characters without spaces, slashes and commas") from None


def _moment(value: Any) -> datetime:
    """ISO 8601 with a zone, as UTC."""
    try:
        if isinstance(value, str) and (when := datetime.fromisoformat(value)).tzinfo is not None:
            return when.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise refuse("must be an ISO 8601 time with its zone, such as 2026-11-20T10:00:00Z")


def require_link(value: str) -> str:
    scheme = _SCHEME.match(value)
    if " " in value or (not value.isprintable() and (_SPACE.search(value) or _CONTROL.search(value))):
        raise refuse("may not hold spaces or control characters")
    if scheme and scheme[1].lower() in _DANGEROUS:
        raise refuse(f"may not be a {scheme[1].lower()}: link")
    return value


def _email(value: str) -> str:
    if not _EMAIL.fullmatch(value):
        raise refuse("must be one e-mail address, such as ana@example.com")
    return value


def _phone(value: str) -> str:
    number = e164(value)
    if number is None:
        raise refuse("must be a phone number with its country's code, such as +84 90 123 4567")
    return number


def _locale(value: str) -> str:
    if not _LOCALE.fullmatch(value):
        raise refuse("must be a language tag, such as en or vi-VN")
    return value


def _timezone(value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise refuse("must be a time zone of the IANA database, such as Asia/Ho_Chi_Minh") from None


def _discord(value: str) -> str:
    if _CONTROL.search(value) or not _is_discord(value):
        raise refuse("must be a webhook of Discord: https://discord.com/api/webhooks/...")
    return value


def _is_discord(value: str) -> bool:
    """The hub will call this address: nothing but Discord's own may pass."""
    try:
        url = urlsplit(value)
        plain = url.port in (None, 443) and url.username is None and url.password is None
    except ValueError:
        return False
    known = _DISCORD.fullmatch(url.hostname or "") is not None
    return plain and known and url.scheme == "https" and url.path.startswith("/api/webhooks/")


# What is said about the fields to readers of the description; the functions above are what decides.
NAMED = r"^[^\s/,\u0000-\u001f\u007f\u0085]{1,128}$"
_NUMBER = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}


def shown(pattern: str | None = None, *examples: str, **more: Any) -> Any:
    """The pattern (ECMA-262) and examples of a text, for JSON Schema."""
    extra = more | ({"pattern": pattern} if pattern else {}) | ({"examples": [*examples]} if examples else {})
    return Field(json_schema_extra=extra)


def _or_number(pattern: str, *examples: str) -> WithJsonSchema:
    """Text, or an integer that is read as text."""
    text = {"type": "string", "pattern": pattern, "examples": [*examples]}
    return WithJsonSchema({"anyOf": [text, _NUMBER]})


UserId = Annotated[str, BeforeValidator(_number_as_text), AfterValidator(_user), _or_number(NAMED, "42")]
Role = Annotated[str, AfterValidator(_role), shown(NAMED, "ADMIN")]
TenantId = Annotated[
    str,
    BeforeValidator(_number_as_text),
    StringConstraints(max_length=64),
    _or_number(f"^{TENANT_PATTERN.pattern}$", "acme"),
]
TypeName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_TYPE),
    AfterValidator(require_type),
    shown("^[A-Za-z0-9_.:-]+$", "booking.created"),
]
Line = Annotated[
    str,
    StringConstraints(max_length=MAX_LINE),
    AfterValidator(_one_line),
    shown(r"^[^\u0000-\u001f\u007f]*$"),
]
Lines = Annotated[
    str,
    StringConstraints(max_length=MAX_LINES),
    AfterValidator(require_lines),
    shown(r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$"),
]
Actor = Annotated[
    str,
    StringConstraints(min_length=1, max_length=160),
    AfterValidator(_one_line),
    shown(r"^[^\u0000-\u001f\u007f]+$", "user:7"),
]
CollapseKey = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128),
    AfterValidator(_one_line),
    shown(r"^[^\u0000-\u001f\u007f]+$", "booking-17"),
]
Link = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_LINK),
    AfterValidator(require_link),
    shown(r"^[^\s\u0000-\u001f\u007f\u0085]+$", "/bookings/17"),
]
Moment = Annotated[
    datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})
]
Email = Annotated[
    str,
    StringConstraints(max_length=320),
    AfterValidator(_email),
    shown(f"^{_EMAIL.pattern}$", "ana@example.com"),
]
Phone = Annotated[
    str,
    StringConstraints(max_length=32),
    AfterValidator(_phone),
    shown(r"^\s*\+", "+84 90 123 4567", description="with its country's code; kept as E.164"),
]
Locale = Annotated[
    str, StringConstraints(max_length=35), AfterValidator(_locale), shown(f"^{_LOCALE.pattern}$", "vi-VN")
]
Timezone = Annotated[
    str,
    StringConstraints(max_length=64),
    AfterValidator(_timezone),
    shown(None, "Asia/Ho_Chi_Minh", description="a time zone of the IANA database"),
]
DiscordWebhook = Annotated[
    str,
    StringConstraints(max_length=2048),
    AfterValidator(_discord),
    shown(rf"^https://{_DISCORD.pattern}(:443)?/api/webhooks/[^\u0000-\u001f\u007f]*$"),
]


class Addressee(Form):
    """A person in `to`, with the addresses to remember."""

    id: UserId
    email: Email | None = None
    phone: Phone | None = None
