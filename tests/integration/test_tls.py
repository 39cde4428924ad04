"""`hub serve` with a certificate: every transport speaks TLS, on both loops; renewals are taken."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import jwt
import pytest
import socketio
import structlog

from hub.settings import DEVELOPMENT_KEY, DEVELOPMENT_SECRET
from hub.tls import Certificate, CertificateRefused
from tests.certificates import Pair, make
from tests.launched import PATIENCE, Launched, Serve

WITHOUT_UVLOOP = (
    "import sys, runpy; sys.modules['uvloop'] = None; runpy.run_module('hub', run_name='__main__')"
)
NEWS = {"tenantId": "acme", "type": "booking.created", "to": "user:42", "data": {"guestName": "Ana"}}
KEY = {"X-API-Key": DEVELOPMENT_KEY}


class SecureServe(Serve):
    """`hub serve` with a certificate; `program` runs it on asyncio's own loop."""

    def __init__(self, directory: Path, redis: str, pair: Pair, program: Sequence[str] | None) -> None:
        self.program = program or Launched.program
        super().__init__(directory, redis, HUB_TLS_CERT=str(pair.chain), HUB_TLS_KEY=str(pair.key))
        self.url = self.url.replace("http", "https", 1)


@asynccontextmanager
async def caller(pair: Pair) -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    connector = aiohttp.TCPConnector(ssl=pair.trusting())
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        yield http


@pytest.mark.parametrize(("loop", "program"), [("uvloop", None), ("asyncio", ("-c", WITHOUT_UVLOOP))])
async def test_every_transport_works_over_tls(
    tmp_path: Path, valkey_url: str, certificate: Pair, loop: str, program: Sequence[str] | None
) -> None:
    claims = {"sub": "42", "tenant": "acme", "roles": [], "exp": time.time() + 3600}
    token = jwt.encode(claims, DEVELOPMENT_SECRET, algorithm="HS256")
    auth = {"token": token, "events": "generic"}
    with SecureServe(tmp_path, valkey_url, certificate, program) as hub:
        assert f"loop={loop}" in hub.line("hub.listening")
        async with caller(certificate) as http:
            clients = []
            for transport in ("websocket", "polling"):
                client = socketio.AsyncSimpleClient(http_session=http)
                await client.connect(hub.url, transports=[transport], auth=auth)
                assert client.transport == transport
                assert (await client.receive(timeout=PATIENCE))[0] == "connected"
                clients.append(client)
            plain = await http.ws_connect(f"{hub.url}/ws/notifications?token={token}")
            assert (await plain.receive_json())["event"] == "connected"
            stream = await http.get(
                f"{hub.url}/notifications/sse", headers={"Authorization": f"Bearer {token}"}
            )
            async with http.post(f"{hub.url}/notifications", json=NEWS, headers=KEY) as answer:
                assert answer.status == 202
                id = (await answer.json())["id"]
            for client in clients:
                event, envelope = await client.receive(timeout=PATIENCE)
                assert (event, envelope["id"]) == ("notification:new", id)
                await client.disconnect()
            said = await plain.receive_json()
            assert (said["event"], said["data"]["id"]) == ("booking.created", id)
            async for line in stream.content:
                if id.encode() in line:
                    break
            else:
                pytest.fail("the stream ended without the notification")
            await plain.close()
            stream.close()
        assert "Traceback" not in hub.output


def test_a_renewed_certificate_is_taken_and_a_broken_one_is_not(tmp_path: Path) -> None:
    pair = make(tmp_path)
    certificate = Certificate(*pair)
    assert _presented(certificate) == _stored(pair)
    pair.chain.write_text("half a renew")
    with structlog.testing.capture_logs() as said:
        certificate.renew()
        certificate.renew()
    assert [line["action"] for line in said] == ["tls.refused"]
    renewed = make(tmp_path)
    assert _presented(certificate) != _stored(renewed)
    certificate.renew()
    assert _presented(certificate) == _stored(renewed)


def test_a_certificate_that_cannot_be_used_stops_the_start_with_its_name(
    tmp_path: Path, valkey_url: str, certificate: Pair
) -> None:
    for chain, key, word in (
        (tmp_path / "nothing.pem", certificate.key, "nothing.pem: No such file"),
        (certificate.key, certificate.key, str(certificate.key)),
    ):
        with pytest.raises(CertificateRefused, match=word):
            Certificate(chain, key)
    with Serve(tmp_path, valkey_url, HUB_TLS_CERT=str(certificate.chain)) as hub:
        assert hub.wait() == 1
        assert "HUB_TLS_KEY" in hub.output
        assert "Traceback" not in hub.output


def _stored(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.chain.read_text())


def _presented(certificate: Certificate) -> bytes | None:
    """The certificate that a client is shown, by a handshake in memory."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    client = anybody.wrap_bio(back, there)
    server = certificate.context.wrap_bio(there, back, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return client.getpeercert(binary_form=True)
