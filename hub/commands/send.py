"""`hub send`: one notification over HTTP to a running hub, as any backend would send it.

Knows the door `POST /notifications` and the shape of its answers, nothing of what is behind it.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.commands.start import Fault, load
from hub.domain.access import DEFAULT_TENANT

if TYPE_CHECKING:
    from hub.settings import Settings

TIMEOUT_SECONDS = 15.0


def send(
    type: Annotated[str, typer.Argument(help="The event's type, for example booking.created.")],
    to: Annotated[list[str], typer.Option("--to", help="A room, like role:ADMIN; may be repeated.")],
    data: Annotated[str, typer.Option("--data", help="The event's data, a JSON object.")] = "{}",
    title: Annotated[str | None, typer.Option("--title", help="Instead of the template's title.")] = None,
    message: Annotated[str | None, typer.Option("--message", help="Instead of the template's text.")] = None,
    link: Annotated[str | None, typer.Option("--link", help="Where a click on it leads.")] = None,
    channel: Annotated[
        list[str] | None, typer.Option("--channel", help="inApp, email, sms, ...; may be repeated.")
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="The tenant, for a key of the platform.")
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", envvar="HUB_URL", help="The hub. Default: the local one.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", envvar="HUB_API_KEY", help="API key. Default: the development key."),
    ] = None,
) -> None:
    """Send a notification to a running hub and print its answer."""
    settings = load()
    if key is None:
        if not settings.development:
            raise Fault("no API key: give --key or HUB_API_KEY (`hub key create` makes one)", code=2)
        from hub.settings import DEVELOPMENT_KEY

        key, tenant = DEVELOPMENT_KEY, tenant or DEFAULT_TENANT
    given = {
        "type": type,
        "to": to[0] if len(to) == 1 else to,
        "data": _object(data),
        "title": title,
        "message": message,
        "link": link,
        "channels": channel or None,
        "tenantId": tenant,
    }
    body = {name: value for name, value in given.items() if value is not None}
    answer = asyncio.run(_post(f"{local_url(settings, url)}/notifications", body, key))
    typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))


def local_url(settings: Settings, url: str | None = None) -> str:
    """The address of the hub, without a final slash: `url`, or where these settings make it listen."""
    if url:
        return url.rstrip("/")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Fault(f"--data is not JSON: {error}", code=2) from None
    if not isinstance(value, dict):
        raise Fault('--data has to be a JSON object, for example {"guestName": "Ana"}', code=2)
    return value


async def _post(url: str, body: dict[str, Any], key: str) -> Any:
    import aiohttp

    headers = {"Authorization": f"Bearer {key}"}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.post(url, json=body) as response,
        ):
            answer = await _json(response)
            if response.status >= 400:
                raise Fault(_refusal(response.status, answer))
            return answer
    except aiohttp.InvalidURL:
        raise Fault(f"--url {url}: not an address", code=2) from None
    except (aiohttp.ClientError, OSError) as error:
        raise Fault(f"no hub answers at {url} ({error}); is it running? `hub dev` starts one") from None
    except TimeoutError:
        raise Fault(f"the hub at {url} did not answer within {TIMEOUT_SECONDS:g} s") from None


async def _json(response: Any) -> Any:
    try:
        return await response.json(content_type=None)
    except ValueError:
        raise Fault(f"what answers at {response.url} is not a hub (HTTP {response.status})") from None


def _refusal(status: int, problem: Any) -> str:
    """The lines that tell a problem+json answer (RFC 9457)."""
    if not isinstance(problem, dict):
        return f"refused with HTTP {status}"
    title = problem.get("title") or problem.get("error") or "refused"
    detail = problem.get("detail")
    lines = [f"{title}: {detail}" if detail and detail != title else str(title)]
    lines[0] += f" (HTTP {status}, {problem.get('code', 'no code')})"
    lines += [
        f"  {fault.get('field', '')}: {fault.get('message', '')}" for fault in problem.get("errors") or ()
    ]
    return "\n".join(lines)
