"""A record: what one hub process tells the others, and its form on the wire.

On the wire a record is, in this order: when a key is set, 64 hex digits of HMAC-SHA256 over all that
follows; one line of JSON, the header; the body's bytes. The body is sent and received as it is, never
parsed. This file does not know Redis, channels or what a body means.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Any

import orjson

KINDS = frozenset({"event", "signal", "control", "presence"})
MAC_LENGTH = 64
MAX_OFFSET = 10**18


class RecordRefused(ValueError):
    """Bytes that are not a record of this cluster: broken, or made by something else."""


class RecordForged(RecordRefused):
    """A key is set, and the signature is missing or wrong."""


@dataclass(frozen=True, slots=True)
class Record:
    """`kind` is "event" (somebody's event), "signal" (a volatile hint), "presence" (who came and went on a
    process) or "control" (an order to processes).

    `offset` is the event's place in its tenant's log of `epoch`, 0 for everything that is in no log.
    `meta` holds what the receiver needs to route the body and must be JSON-able; `body` is JSON, encoded.
    A control record has the tenant "".
    """

    tenant: str
    kind: str
    offset: int = 0
    epoch: str = ""
    meta: dict[str, Any] = field(default_factory=dict)
    body: bytes = b""

    @property
    def ordered(self) -> bool:
        """Whether the record has its turn in a log; everything else passes straight through."""
        return self.offset > 0 and self.kind == "event"

    def encode(self, node: str, key: bytes | None) -> bytes:
        """The wire form, as sent by `node`. Raises TypeError when `meta` is not JSON-able."""
        header = orjson.dumps(
            {
                "node": node,
                "tenant": self.tenant,
                "kind": self.kind,
                "offset": self.offset,
                "epoch": self.epoch,
                "meta": self.meta,
            }
        )
        signed = header + b"\n" + self.body
        return signed if key is None else _mac(key, signed) + signed

    @classmethod
    def decode(cls, data: bytes, key: bytes | None) -> Record:
        """The record in `data`. Raises `RecordForged` or `RecordRefused`, nothing else.

        Without a key signatures are not looked at, so that a key can be rolled out process by process.
        """
        start = _header_start(data)
        if key is not None and not (start and hmac.compare_digest(data[:start], _mac(key, data[start:]))):
            raise RecordForged("the record's signature is missing or wrong")
        end = data.find(b"\n", start)
        try:
            header = orjson.loads(data[start:end])
            record = cls(
                header["tenant"],
                header["kind"],
                header["offset"],
                header["epoch"],
                header["meta"],
                data[end + 1 :],
            )
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise RecordRefused(f"the record's header cannot be read: {type(error).__name__}") from None
        if end < 0 or not record._sound():
            raise RecordRefused("the record's header has a wrong field")
        return record

    def _sound(self) -> bool:
        return (
            isinstance(self.tenant, str)
            and isinstance(self.kind, str)
            and self.kind in KINDS
            and type(self.offset) is int
            and 0 <= self.offset < MAX_OFFSET
            and isinstance(self.epoch, str)
            and isinstance(self.meta, dict)
        )


def node_mark(node: str) -> bytes:
    """How the header of every record of `node` begins: enough to know an echo without parsing it."""
    return orjson.dumps({"node": node})[:-1] + b","


def sent_by(mark: bytes, data: bytes) -> bool:
    """Whether the record in `data` says it comes from the node of this `node_mark`."""
    return data.startswith(mark, _header_start(data))


def _header_start(data: bytes) -> int:
    return 0 if data[:1] == b"{" else MAC_LENGTH


def _mac(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, "sha256").hex().encode()
