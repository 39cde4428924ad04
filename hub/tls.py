"""The server's certificate: loaded at the start, and again when its file was renewed.

Promises: TLS 1.2 or newer; a renewal that cannot be read leaves the old certificate in force and says so
once. Connections that are open keep what they began with. Does not know who listens.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)


class CertificateRefused(ValueError):
    """The certificate or its key cannot be used. `str()` says which file, and why."""


class Certificate:
    """A PEM chain and its PEM key. `context` is what a server listens with, the same one for ever.

    Raises `CertificateRefused`.
    """

    def __init__(self, chain: Path, key: Path) -> None:
        self._chain = chain
        self._key = key
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.set_alpn_protocols(["http/1.1"])
        self._seen = self._state()
        self._load()

    def renew(self) -> None:
        """Takes the files again when they have changed since they were last looked at. Never raises."""
        state = self._state()
        if state == self._seen:
            return
        self._seen = state
        try:
            # A throwaway context first: a half-written pair must not spoil the one that is in use.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._chain, self._key)
            self._load()
        except (CertificateRefused, OSError) as error:
            log.warning("the renewed certificate cannot be used", action="tls.refused", error=str(error))
        else:
            log.info("the certificate was renewed", action="tls.renewed")

    def _load(self) -> None:
        for file in (self._chain, self._key):
            try:
                file.read_bytes()
            except OSError as error:
                raise CertificateRefused(f"{file}: {error.strerror}") from None
        try:
            self.context.load_cert_chain(self._chain, self._key)
        except ssl.SSLError as error:
            raise CertificateRefused(f"{self._chain} with {self._key}: {error.reason or error}") from None

    def _state(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(_stamp(file) for file in (self._chain, self._key))


def certificate_of(chain: str | None, key: str | None) -> Certificate | None:
    """The certificate in these files; None when none is named. Raises `CertificateRefused`."""
    if not chain and not key:
        return None
    if not chain or not key:
        raise CertificateRefused("HUB_TLS_CERT and HUB_TLS_KEY: one is useless without the other")
    return Certificate(Path(chain), Path(key))


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
