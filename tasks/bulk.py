"""Redis as Celery's broker, by the handful: messages are taken, noted and acknowledged many at once.

kombu's own way pops a message, notes that it is held, and forgets the note, one by one in three exchanges
with Redis, which is more work than most mails are. Here one pop brings what else waits in that queue, as far
as the prefetch allows, and one transaction notes or forgets as many. What stands in Redis is what kombu would
have written, so that either kind of worker gives back what the other one's death has left. Promises: a
message is noted before it is worked on, and the note stays until it is acknowledged. Does not know what is in
a message. (A broker behind a socket file is served kombu's own way.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

import orjson
import structlog
from kombu.transport import redis, virtual
from kombu.utils.json import dumps, loads

# Taken at once from a queue, so that a long one does not make the others wait.
MOST = 100

log = structlog.get_logger(__name__)

_QoS: Any = virtual.QoS  # kombu has no types
_RedisQoS: Any = redis.QoS
_RedisChannel: Any = redis.Channel
_RedisTransport: Any = redis.Transport


class Notes(_RedisQoS):  # type: ignore[misc]
    """Which messages are held. Those that are done are forgotten when the consumer's loop comes round."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._done: list[str] = []

    def hold(self, messages: list[Any], raw: list[bytes | None]) -> None:
        """Note all of these, which came as `raw`. Raises what the connection raises."""
        now = time.time()
        notes = {one.delivery_tag: _note(one, text) for one, text in zip(messages, raw, strict=True)}
        with self.channel.exchange() as pipe:
            pipe.zadd(self.unacked_index_key, dict.fromkeys(notes, now))
            pipe.hset(self.unacked_key, mapping=notes)
        for message in messages:
            _QoS.append(self, message, message.delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        if self.channel.connection.looping:
            self._done.append(delivery_tag)
        else:
            super().ack(delivery_tag)

    def forget(self) -> None:
        """Forget what is done. What the broker is not told comes again, and is then found to be over."""
        if not self._done:
            return
        done, self._done = self._done, []
        try:
            with self.channel.exchange() as pipe:
                pipe.zrem(self.unacked_index_key, *done)
                pipe.hdel(self.unacked_key, *done)
        except self.channel.connection_errors as error:
            log.warning(
                "the queue was not told what is done",
                action="queue.deaf",
                messages=len(done),
                error=type(error).__name__,
            )
        for tag in done:
            _QoS.ack(self, tag)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        self.forget()
        super().restore_unacked_once(stderr)


class Channel(_RedisChannel):  # type: ignore[misc]
    QoS = Notes

    def basic_consume(
        self, queue: str, no_ack: bool, callback: Callable[[Any], None], *args: Any, **options: Any
    ) -> Any:
        answer = super().basic_consume(queue, no_ack, callback, *args, **options)
        if not no_ack and queue not in self.active_fanout_queues:
            self.connection._callbacks[queue] = partial(self._take, queue, callback)
        return answer

    @contextmanager
    def exchange(self) -> Iterator[Any]:
        """A transaction that is executed when its block ends."""
        with self.bulk_client.pipeline() as pipe:
            yield pipe
            pipe.execute()

    @cached_property
    def bulk_client(self) -> Any:
        """Beside the one that waits for messages; kept, for making one costs as much as using it."""
        return self._create_client()

    def _take(self, queue: str, callback: Callable[[Any], None], first: Any) -> None:
        """Take what else waits, note it all, then hand it out."""
        free = self.qos.can_consume_max_estimate()
        more = min(MOST, MOST if free is None else free) - 1
        waiting: list[bytes] = (self.bulk_client.rpop(queue, more) if more > 0 else None) or []
        messages = [self.Message(read, channel=self) for read in (first, *map(_read, waiting))]
        self.qos.hold(messages, [None, *waiting])
        for message in messages:
            callback(message)


class Transport(_RedisTransport):  # type: ignore[misc]
    """`looping`: an event loop is running that comes back to what is put off."""

    Channel = Channel
    looping = False

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        super().register_with_event_loop(connection, loop)
        self.looping = True

        def stop(hub: Any) -> None:
            hub.on_close.discard(stop)
            hub.on_tick.discard(self._forget)
            self.looping = False
            self._forget()

        loop.on_tick.add(self._forget)
        loop.on_close.add(stop)

    def _forget(self) -> None:
        for channel in self.channels:
            channel.qos.forget()


def _read(raw: bytes) -> Any:
    """A message as kombu reads it, which looks everywhere for values of its own kinds; few have any."""
    if b'"__type__"' in raw:
        return loads(raw)  # type: ignore[no-untyped-call]
    return orjson.loads(raw)


def _note(message: Any, raw: bytes | None) -> bytes:
    """As kombu writes it, which reads it when it gives a message back. `raw` is the message as it came."""
    if raw is None:
        raw = dumps(message._raw).encode()  # type: ignore[no-untyped-call]
    where = message.delivery_info
    return b"[%b,%b,%b]" % (raw, orjson.dumps(where["exchange"]), orjson.dumps(where["routing_key"]))
