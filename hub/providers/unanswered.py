"""What a call by `requests` means that ended without an answer: had the request left, or not?"""

from __future__ import annotations

import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

from hub.providers.receipt import Temporary


def unanswered(who: str, fault: requests.RequestException) -> Temporary:
    """Unsure once the connection stood: then the request may have been read before it broke."""
    return Temporary(f"no answer from {who}: {type(fault).__name__}", unsure=_had_left(fault))


def _had_left(fault: requests.RequestException) -> bool:
    if isinstance(fault, requests.exceptions.ConnectTimeout | requests.exceptions.SSLError):
        return False
    if isinstance(fault, requests.exceptions.Timeout | requests.exceptions.ChunkedEncodingError):
        return True
    inner = fault.args[0] if fault.args else None
    if isinstance(inner, MaxRetryError):
        inner = inner.reason
    return isinstance(inner, ProtocolError) and not isinstance(inner, NewConnectionError)
