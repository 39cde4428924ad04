"""The port as `hub serve` opens it: what a first line may hold, and how the listening ends."""

from __future__ import annotations

import asyncio

import pytest

from hub.services.tokens import MAX_TOKEN_BYTES
from hub.web.listening import MAX_LINE
from tests.living import Start, Stream


async def test_the_longest_token_fits_into_an_address_and_into_a_header(living: Start) -> None:
    hub = await living()
    longest = "x" * MAX_TOKEN_BYTES
    for path, headers in (
        (f"/notifications/sse?token={longest}", {}),
        ("/notifications/sse", {"Authorization": f"Bearer {longest}"}),
    ):
        async with hub.http.get(path, headers=headers) as answer:
            assert answer.status == 401
            assert (await answer.json(content_type=None))["code"] == "token_invalid"


async def test_a_longer_line_is_refused_and_the_hub_lives(living: Start) -> None:
    hub = await living()
    async with hub.http.get(f"/livez?{'x' * 2 * MAX_LINE}") as answer:
        assert answer.status == 400
    async with hub.http.get("/livez") as answer:
        assert answer.status == 200


async def test_stopping_ends_the_listening_and_no_open_connection(living: Start) -> None:
    hub = await living()
    stream = await Stream(hub.http).open(hub.token())
    await stream.wait("connected")
    await hub.http.get("/livez")  # leaves a connection that is kept alive
    hub._listening.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", hub._port)
    await hub.notify(to="user:42")
    await stream.wait("booking.created")
    await stream.close()
