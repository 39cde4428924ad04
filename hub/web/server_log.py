"""Keeps aiohttp's log of broken HTTP to one line without a traceback.

Whatever reaches aiohttp's own error handler was sent by a client that does not speak HTTP: exceptions of
handlers end in the middleware. A client must not be able to fill the log.
"""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError


class OneLine(logging.Filter):
    """Takes the traceback off records of unreadable requests, and makes them `info`."""

    def filter(self, record: logging.LogRecord) -> bool:
        fault = record.exc_info[1] if record.exc_info else None
        if isinstance(fault, HttpProcessingError | web.RequestPayloadError):
            record.exc_info = None
            record.levelno, record.levelname = logging.INFO, "INFO"
            record.msg, record.args = "unreadable request: %s", (type(fault).__name__,)
        return True


def quieten(logger: logging.Logger) -> None:
    """Makes `logger` (aiohttp's) keep it short; a second call changes nothing."""
    if not any(isinstance(present, OneLine) for present in logger.filters):
        logger.addFilter(OneLine())
