"""A parcel: records that one process tells the others at once, on one channel, and its form on the wire.

On the wire a parcel is, in this order: when a key is set, 64 hex digits of HMAC-SHA256 over the channel's
name and all that follows; one line of JSON, the header, which says whose parcel it is and, of each record,
everything but the body; the bodies, one after the other. A body is sent and received as it is, never
parsed. The tenant is not repeated: the channel belongs to it. This file does not know Redis.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from hub.cluster.record import Record

MAC_LENGTH = 64
MAX_OFFSET = 10**18
KINDS = frozenset({"event", "signal", "presence"})
PASSING = frozenset({"event", "signal"})  # with offset 0: for who is there now
ORDERS = frozenset({"control"})  # on the channel that is no tenant's
# Whether anybody here cares for what is told to a tenant's rooms now: the tenant, and the record's `meta`.
Hears = Callable[[str, Mapping[str, Any]], bool]


def everything(tenant: str, meta: Mapping[str, Any]) -> bool:
    return True


class ParcelRefused(ValueError):
    """Bytes that are not a parcel of this cluster: broken, or made by something else."""


class ParcelForged(ParcelRefused):
    """A key is set, and the signature is missing or wrong."""


Part = tuple[bytes, bytes]  # one record, encoded for a parcel: its line in the header, its body


def part_of(record: Record) -> Part:
    """Raises TypeError when `meta` is not JSON-able."""
    body = record.body
    return orjson.dumps([record.kind, record.offset, record.epoch, record.meta, len(body)]), body


class Packer:
    """Makes and opens the parcels of a process called `node`."""

    def __init__(self, node: str, key: bytes | None) -> None:
        self._key = key
        # How the header of each of its parcels begins: enough to know an echo without parsing it.
        self._mark = orjson.dumps({"node": node})[:-1] + b","

    def pack(self, channel: bytes, parts: Sequence[Part]) -> bytes:
        """The parcel of these records, in this order."""
        heads = b",".join([head for head, _ in parts])
        bodies = b"".join([body for _, body in parts])
        data = b'%b"records":[%b]}\n%b' % (self._mark, heads, bodies)
        return data if self._key is None else self._mac(channel, data) + data

    def is_own(self, data: bytes) -> bool:
        """Whether the parcel says it comes from this process."""
        return data.startswith(self._mark, _header_start(data))

    def unpack(
        self, channel: bytes, tenant: str, data: bytes, hears: Hears = everything
    ) -> tuple[int, list[Record]]:
        """How many records are in a parcel that came on this channel, which is the tenant's, or that of
        orders (""); and the records, without those in no log that nobody here `hears`.

        Raises `ParcelForged` or `ParcelRefused` only.
        Without a key signatures are not looked at, so that a key can be rolled out process by process.
        """
        start = _header_start(data)
        if self._key is not None and not (
            start and hmac.compare_digest(data[:start], self._mac(channel, data[start:]))
        ):
            raise ParcelForged("the parcel's signature is missing or wrong")
        end = data.find(b"\n", start)
        if end < 0:
            raise ParcelRefused("the parcel has no header")
        try:
            heads = orjson.loads(data[start:end])["records"]
            return len(heads), _records(heads, tenant, data, end + 1, hears)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise ParcelRefused(f"the parcel cannot be read: {type(error).__name__}") from None

    def _mac(self, channel: bytes, data: bytes) -> bytes:
        assert self._key is not None
        return hmac.digest(self._key, channel + b"\n" + data, "sha256").hex().encode()


def _records(heads: object, tenant: str, data: bytes, at: int, hears: Hears) -> list[Record]:
    """Raises KeyError, TypeError or ValueError for what is no list of records with their bodies."""
    if not isinstance(heads, list):
        raise TypeError
    kinds = KINDS if tenant else ORDERS
    records = []
    for kind, offset, epoch, meta, size in heads:
        if not (
            kind in kinds
            and type(offset) is int
            and 0 <= offset < MAX_OFFSET
            and type(epoch) is str
            and type(meta) is dict
            and type(size) is int
            and size >= 0
        ):
            raise ValueError
        start, at = at, at + size
        if offset or kind not in PASSING or hears(tenant, meta):
            records.append(Record(tenant, kind, offset, epoch, meta, data[start:at]))
    if at != len(data):
        raise ValueError
    return records


def _header_start(data: bytes) -> int:
    return 0 if data[:1] == b"{" else MAC_LENGTH
