"""Logging: one line per thing that happened, readable in development, JSON in production.

Every line has an `action` (what was done, `noun.verb`), a level, a logger and a UTC time; what the
standard library's loggers say comes out in the same shape. Promises that no token, ticket, password or
API key is written: fields with such a name are masked, and the finished line is searched for anything
that looks like one, so that tracebacks and foreign loggers are covered too. Does not know what is logged,
or where the lines go after standard error.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from datetime import UTC, datetime
from functools import lru_cache
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
# Nothing of the above is without one of these. Most lines have none, and looking for them costs a hundredth.
_MARKS = ("=", "://", "bearer", "basic", "eyj", "hub_", "/webhooks/", "/unsubscribe/")
# Loggers that tell what they do at a level where nobody asked; the last two, every task twice.
_QUIET = (
    *("aiosqlite", "asyncio", "alembic", "engineio", "kombu", "amqp", "urllib3", "sqlalchemy.engine"),
    "websockets",  # it would show the frames themselves, with the tokens in them
    *("apprise", "python_http_client", "twilio"),  # addresses and texts
    *("celery.worker.strategy", "celery.app.trace"),
)


def redact(text: str) -> str:
    """`text` with everything masked that looks like a credential."""
    folded = text.lower()
    for mark in _MARKS:
        if mark in folded:
            break
    else:
        return text
    return _SECRET_TEXT.sub(lambda found: "".join(part or "" for part in found.groups()) + MASK, text)


def configure(*, level: str, as_json: bool, stream: TextIO | None = None, color: bool = False) -> None:
    """Sends structlog's and the standard library's loggers to `stream` (standard error).

    `level` is the least level shown: debug, info, warning or error. Call it once per process; the last
    call wins.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _mask_fields,
    ]
    rendered: list[Processor] = [
        *(
            [_name_action, structlog.processors.JSONRenderer(serializer=_dumps)]
            if as_json
            else [_shorten_time, _console(color=color)]
        ),
        _redact_line,
    ]
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_logger_name,
                structlog.stdlib.PositionalArgumentsFormatter(),
                *shared,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    root = logging.getLogger()
    sink = Sink(handler, joins=stream is None)
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)
    steps: list[Processor] = [_add_name, *shared, *rendered]
    wrapper: Any = structlog.make_filtering_bound_logger(root.level)
    if as_json:
        plain = _plain_json(steps)
        steps, wrapper = [plain], _direct(wrapper, plain) if root.level <= logging.INFO else wrapper
    structlog.configure(
        processors=steps,
        logger_factory=lambda name="hub", *_: Lines(name, sink),
        wrapper_class=wrapper,
        cache_logger_on_first_use=True,
    )


class Sink:
    """Where finished lines go: where the standard library's go, past its records, which cost more than the
    rest. A line that cannot be written is lost; whoever logs never hears of it.

    `joins`: what is said in one turn of an event loop may be written together at its end. A warning, and
    what is worse, is written at once, behind what was said before.
    """

    def __init__(self, handler: logging.StreamHandler[TextIO], *, joins: bool) -> None:
        self._handler = handler
        self._joins = joins
        self._waiting: list[str] = []
        self._loop: asyncio.AbstractEventLoop | None = None  # the one that the lines wait for

    def soon(self, line: str) -> None:
        loop = asyncio._get_running_loop() if self._joins else None
        if loop is None or (self._waiting and loop is not self._loop):
            self.write(line)
            return
        if not self._waiting:
            self._loop = loop
            loop.call_soon(self.flush, context=_NO_CONTEXT)
        self._waiting.append(line)

    def write(self, line: str) -> None:
        self._write([line])

    def flush(self) -> None:
        if self._waiting:
            self._write([])

    def _write(self, lines: list[str]) -> None:
        handler = self._handler
        handler.acquire()
        try:
            lines, self._waiting = [*self._waiting, *lines], []
            with suppress(OSError, ValueError):  # ValueError: closed, or not to be encoded
                handler.stream.write("\n".join(lines) + "\n")
                handler.stream.flush()
        finally:
            handler.release()


class Lines:
    """One logger's way to the sink."""

    def __init__(self, name: str, sink: Sink) -> None:
        self.name = name
        self.debug = self.info = sink.soon
        self.warning = self.error = self.critical = self.exception = sink.write


def _direct(filtering: Any, plain: Processor) -> Any:
    """Loggers whose `info` goes straight to `plain`, past what makes a chain of one step the most expensive
    part of a line."""

    class Direct(filtering):  # type: ignore[misc]
        def info(self, event: str | None = None, *args: Any, **fields: Any) -> Any:
            steps = self._processors
            if args or event is None or steps[0] is not plain:  # tests put in a step of their own
                return super().info(event, *args, **fields)
            logger = self._logger
            return logger.info(plain(logger, "info", {**self._context, "event": event, **fields}))

    return Direct


def _console(*, color: bool) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=color,
        timestamp_key="at",
        pad_event_to=0,
        exception_formatter=structlog.dev.plain_traceback,
    )


def _plain_json(all: Sequence[Processor]) -> Processor:
    """`all` of them in one step for a line without a traceback, which is nearly every line."""

    def processor(logger: WrappedLogger, method: str, fields: EventDict) -> Any:
        if "exc_info" in fields or "stack_info" in fields or "action" in fields:
            line: Any = fields
            for step in all:
                line = step(logger, method, line)
            return line
        bound = structlog.contextvars.get_contextvars()
        fields = _mask_fields(logger, method, {**bound, **fields} if bound else fields)
        fields["action"] = fields.pop("event", "")
        fields["level"] = method
        fields["logger"] = logger.name
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        fields["at"] = f"{_to_the_second(seconds)}.{nanoseconds // 1000:06d}Z"
        return redact(_dumps(fields))

    return processor


@lru_cache(1)
def _to_the_second(unix: int) -> str:
    return datetime.fromtimestamp(unix, UTC).isoformat()[:19]


def _add_name(logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    fields["logger"] = logger.name
    return fields


def _mask_fields(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    if _FLAT.issuperset(map(type, fields.values())) and _are_plain(tuple(fields)):
        return fields
    return {name: _mask(name, value) for name, value in fields.items()}


def _mask(name: object, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _mask(key, item) for key, item in value.items()}
    if value is not None and isinstance(name, str) and _is_secret(name):
        return MASK
    if isinstance(value, list | tuple):
        return [_mask(None, item) for item in value]
    return value


_NO_CONTEXT = Context()  # what is written together is nobody's in particular
_FLAT = frozenset({str, int, float, bool})


@lru_cache(1000)
def _are_plain(names: tuple[str, ...]) -> bool:
    return not any(map(_is_secret, names))


@lru_cache(1000)
def _is_secret(name: str) -> bool:
    return _SECRET_FIELD.search(name) is not None


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
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # half a character, a number of more than 64 bits
        return json.dumps(value, default=str, skipkeys=True)
