"""A mail server for benchmarks: `python -m benchmarks.mail_sink PORT MILLISECONDS [EVERY]`.

It speaks just enough SMTP, takes every mail after MILLISECONDS, and remembers when each of its recipients was
first taken. Every EVERYth mail is refused for now (451), once for each recipient. A line on stdin is answered
with one line of JSON: {recipient: [seconds on the machine's clock, how often]}; what was told is forgotten.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter

ANSWERS = {
    b"EHLO": b"250-sink\r\n250 PIPELINING\r\n",
    b"NOOP": b"250 ok\r\n",
    b"RSET": b"250 ok\r\n",
    b"QUIT": b"221 bye\r\n",
}


class Sink:
    def __init__(self, delay: float, every: int) -> None:
        self.delay = delay
        self.every = every
        self.taken: dict[str, list[float]] = {}
        self.refused: Counter[str] = Counter()
        self.seen = 0

    def answer(self, recipient: str) -> bytes:
        self.seen += 1
        if self.every and self.seen % self.every == 0 and not self.refused[recipient]:
            self.refused[recipient] += 1
            return b"451 later\r\n"
        self.taken.setdefault(recipient, [time.time(), 0])[1] += 1
        return b"250 taken\r\n"


class Line(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._rest = b""
        self._in_text = False
        self._recipient = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while True:
            if self._in_text:
                _, end, rest = self._rest.partition(b"\r\n.\r\n")
                if not end:
                    return
                self._rest, self._in_text = rest, False
                asyncio.get_running_loop().call_later(self._sink.delay, self._take, self._recipient)
                continue
            command, end, rest = self._rest.partition(b"\r\n")
            if not end:
                return
            self._rest = rest
            self._obey(command)

    def _obey(self, command: bytes) -> None:
        word = command[:4].upper()
        if word == b"RCPT":
            self._recipient = command.partition(b"<")[2].partition(b">")[0].decode()
        if word == b"DATA":
            self._in_text = True
            self._transport.write(b"354 go on\r\n")
        else:
            self._transport.write(ANSWERS.get(word, b"250 ok\r\n"))

    def _take(self, recipient: str) -> None:
        self._transport.write(self._sink.answer(recipient))


async def main(port: int, delay: float, every: int) -> None:
    sink = Sink(delay, every)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Line(sink), "127.0.0.1", port)
    async with server:
        while await loop.run_in_executor(None, sys.stdin.readline):
            taken, sink.taken = sink.taken, {}
            print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]) / 1000, int((sys.argv[3:] or ["0"])[0])))
