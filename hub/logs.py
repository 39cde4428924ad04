"""Logging: one line per thing that happened, readable in development, JSON in production.

Every line has an `action` (what was done, `noun.verb`), a level, a logger and a UTC time; what the
standard library's loggers say comes out in the same shape. Promises that no token, ticket, password or
API key is written: fields with such a name are masked, and the finished line is searched for anything
that looks like one, so that tracebacks and foreign loggers are covered too. Does not know what is logged,
or where the lines go after standard error.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import orjson
import structlog
from structlog.types import EventDict, Processor, WrappedLogger

MASK = "[redacted]"
# Fields that are secret by their name, also inside nested values.
_SECRET_FIELD = re.compile(
    r"(?:^|[_-])(?:token|ticket|jwt|secret|password|passwd|pass|authorization|cookie|api[_-]?key)$", re.I
)
# Text that is secret by its shape, wherever it stands in a line. The first group of each is kept.
_SECRET_TEXT = re.compile(
    r"""((?:token|ticket|secret|password|passwd|api[_-]?key)=)[^&\s"'#,;\\\x1b]+"""  # ?token=, ?ticket=
    r"""|(\b(?:bearer|basic)\s+)[^\s"',;\\\x1b]+"""  # Authorization
    r"""|(:\/\/[^\s\/:@"']*:)[^\s\/@"']+(?=@)"""  # the password of a URL
    r"""|(\/(?:webhooks\/\d+|unsubscribe)\/)[\w.~-]+"""  # paths that are keys
    r"""|()\beyJ[\w-]+\.[\w-]+\.[\w-]*"""  # a JWT
    r"""|()\bhub_[A-Za-z0-9_-]{16,}""",  # an API key
    re.I,
)
# Loggers that tell what they do at a level where nobody asked; the last two, every task twice.
_QUIET = (
    *("aiosqlite", "asyncio", "alembic", "engineio", "kombu", "amqp", "urllib3", "sqlalchemy.engine"),
    *("celery.worker.strategy", "celery.app.trace"),
)


def redact(text: str) -> str:
    """`text` with everything masked that looks like a credential."""
    return _SECRET_TEXT.sub(lambda found: "".join(part or "" for part in found.groups()) + MASK, text)


def configure(*, level: str, as_json: bool, stream: TextIO | None = None, color: bool = False) -> None:
    """Sends structlog's and the standard library's loggers to `stream` (standard error).

    `level` is the least level shown: debug, info, warning or error. Call it once per process; the last
    call wins.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _mask_fields,
    ]
    renderer: list[Processor] = (
        [_name_action, structlog.processors.JSONRenderer(serializer=_dumps)]
        if as_json
        else [_shorten_time, _console(color=color)]
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *renderer,
                _redact_line,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _console(*, color: bool) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=color,
        timestamp_key="at",
        pad_event_to=0,
        exception_formatter=structlog.dev.plain_traceback,
    )


def _mask_fields(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    return {name: _mask(name, value) for name, value in fields.items()}


def _mask(name: object, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _mask(key, item) for key, item in value.items()}
    if value is not None and isinstance(name, str) and _SECRET_FIELD.search(name):
        return MASK
    if isinstance(value, list | tuple):
        return [_mask(None, item) for item in value]
    return value


def _name_action(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """The event is the action; where an action is given as well, the event is its message."""
    event = fields.pop("event", "")
    if "action" in fields:
        fields["message"] = event
    else:
        fields["action"] = event
    return fields


def _shorten_time(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    fields["at"] = str(fields["at"])[11:23]  # people who watch know the day
    return fields


def _redact_line(_logger: WrappedLogger, _method: str, line: Any) -> Any:
    return redact(line)


def _dumps(value: Any, **_options: Any) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
