"""The AsyncAPI 3.0 document: every channel on which events travel, and what may stand in them.

Channels are the two namespaces of Socket.IO, the plain WebSocket and the paths of streams; messages come from
the registry of event types and from the tables of `signals`; payloads are the component schemas that OpenAPI
has too. Seen from the hub: it receives what clients say and sends the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hub import __version__
from hub.domain.events import EventType
from hub.web import stream_paths
from hub.web.context import WebOptions
from hub.web.openapi import document, signals
from hub.web.openapi.shapes import CURSOR, Schema, needed, record, ref, text, whole
from hub.web.sockets import NAMESPACES

DESCRIPTION = """\
The same events, the same JSON and the same cursor on Socket.IO, Server-Sent Events and a plain WebSocket. A
connection may send {events_most} events in {events_window:g} seconds; one message may have
{max_message_bytes} bytes."""
# What each path of a stream speaks by itself; "" is the one to try things out with.
STREAMS = {
    "/notifications/sse": stream_paths.EVENTS.dialect,
    "/notifications/sse/test": "",
    "/sse/notifications": stream_paths.NOTIFICATION_MESSAGES.dialect,
    "/sse/bookings": stream_paths.BOOKING_MESSAGES.dialect,
    "/api/notifications/stream": stream_paths.NOTIFICATION_ENVELOPES.dialect,
}
Message = dict[str, Any]


def asyncapi(types: Iterable[EventType], options: WebOptions, *, host: str, secure: bool) -> dict[str, Any]:
    """`host`: where the caller has reached this hub, with its port. `secure`: by TLS."""
    typed = {kind.wire: _event(kind) for kind in types}
    said = {name: _message(name, payload, why) for name, (payload, why) in signals.SENDS.items()}
    heard = {name: _message(name, about.payload, about.said) for name, about in signals.HEARS.items()}
    pairs = {name: said[name] | {"payload": payload} for name, payload in signals.PAIRS.items()}
    sockets = {**said, **pairs, **typed}
    plain_in = {name: _frame(message, answered=True) for name, message in heard.items()}
    plain_out = {name: _frame(message) for name, message in {**said, **typed}.items()}
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for number, namespace in enumerate(NAMESPACES):
        name = "socketio" if number == 0 else "socketioNotifications"
        channels[name] = _channel("socketio", namespace, sockets, {"CONNECT": _connect(), **heard})
        operations |= _conversation(name, sockets, heard)
    channels["websocket"] = _channel("websocket", "/ws/notifications", plain_out, plain_in)
    operations |= _conversation("websocket", plain_out, plain_in)
    for path, dialect in STREAMS.items():
        name = f"sse{path.title().replace('/', '')}"
        shown = _stream(dialect, said, typed)
        channels[name] = _channel("streams", path, shown, {})
        operations[f"{name}.send"] = _operation("send", name, shown)
    messages = _shared(channels)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Realtime hub",
            "version": __version__,
            "description": DESCRIPTION.format(
                events_most=options.events_most,
                events_window=options.events_window,
                max_message_bytes=options.max_message_bytes,
            ),
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": _servers(options, host, secure=secure),
        "channels": channels,
        "operations": operations,
        "components": {
            "schemas": needed(document.schemas(options) | signals.PROTOCOL, messages),
            "messages": messages,
            "securitySchemes": _schemes(options),
        },
    }


# -- messages --------------------------------------------------------------------------------------------
def _message(name: str, payload: Schema, said: str) -> Message:
    return {"name": name, "title": name, "summary": said, "payload": payload}


def _event(kind: EventType) -> Message:
    """A registered type under the name that clients hear."""
    narrowed: dict[str, Any] = {"type": {"const": kind.name}}
    if kind.schema is not None:
        narrowed["data"] = dict(kind.schema)
    payload = {"allOf": [ref("Envelope"), {"properties": narrowed}]}
    said = f"the type {kind.name}, of severity {kind.severity}, by default on {', '.join(kind.channels)}"
    return _message(kind.wire, payload, said)


def _frame(message: Message, *, answered: bool = False) -> Message:
    """The same as one text frame of the plain WebSocket."""
    fields: dict[str, Schema] = {"event": {"const": message["name"]}, "data": message["payload"]}
    ack = {"ack": {"anyOf": [whole(), text(maxLength=64)]}}
    extra = ack if answered else ack | {"cursor": CURSOR}
    return message | {"payload": record(fields, extra)}


def _stream(dialect: str, said: Mapping[str, Message], typed: Mapping[str, Message]) -> dict[str, Message]:
    """What a stream of this dialect shows."""
    if dialect == "named":
        never = {
            "heartbeat",
            "notification:new",
            "error",
            *(about.answer for about in signals.HEARS.values()),
        }
        kept = {"notification:read_all", "notification:seen"}  # told to the user's other connections too
        return {name: message for name, message in said.items() if name not in never - kept} | dict(typed)
    if dialect:
        shapes = signals.DIALECTS[dialect]
        return {
            f"{dialect}{number}": _message("message", shape, "unnamed") for number, shape in enumerate(shapes)
        }
    at = said["pong"]["payload"]["properties"]["timestamp"]
    tick = record({"n": whole(minimum=1), "timestamp": at})
    return {
        "connected": _message("connected", record({"timestamp": at}), "the first thing"),
        "tick": _message("tick", tick, "each second, for a minute"),
    }


def _connect() -> Message:
    return _message("CONNECT", signals.AUTH, "what a client sends to be let into the namespace")


# -- channels and operations -----------------------------------------------------------------------------
def _key(name: str) -> str:
    """A name as the keys of the document may be."""
    return name.replace(":", ".")


def _channel(
    server: str, address: str, out: Mapping[str, Message], into: Mapping[str, Message]
) -> dict[str, Any]:
    messages = {_key(name): message for name, message in out.items()}
    messages |= {f"client.{_key(name)}": message for name, message in into.items()}
    return {"address": address, "servers": [{"$ref": f"#/servers/{server}"}], "messages": messages}


def _shared(channels: Mapping[str, Any]) -> dict[str, Message]:
    """Puts references in the place of messages; those that more than one channel has stand once."""
    shared: dict[str, Message] = {}
    for name, channel in channels.items():
        for key, message in channel["messages"].items():
            known = key if shared.get(key, message) == message else f"{name}.{key}"
            shared[known] = message
            channel["messages"][key] = {"$ref": f"#/components/messages/{known}"}
    return shared


def _refs(channel: str, names: Iterable[str], prefix: str = "") -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/{channel}/messages/{prefix}{_key(name)}"} for name in names]


def _operation(action: str, channel: str, names: Iterable[str], prefix: str = "") -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": _refs(channel, names, prefix),
    }


def _conversation(
    channel: str, out: Mapping[str, Message], into: Mapping[str, Message]
) -> dict[str, dict[str, Any]]:
    """What the hub says by itself, and every event of a client with its answers."""
    answers = {about.answer for about in signals.HEARS.values()} | {"error"}
    told = {"notification:read_all", "notification:seen"}  # to the user's other connections too
    found = {
        f"{channel}.send": _operation("send", channel, [name for name in out if name not in answers - told])
    }
    for name in into:
        reply = {
            "channel": {"$ref": f"#/channels/{channel}"},
            "messages": _refs(channel, dict.fromkeys((signals.HEARS[name].answer, "error"))),
        }
        found[f"{channel}.{name}"] = _operation("receive", channel, [name], "client.") | {"reply": reply}
    return found


def _servers(options: WebOptions, host: str, *, secure: bool) -> dict[str, Any]:
    web, socket = ("https", "wss") if secure else ("http", "ws")
    users = ["user", "userCookie", "ticket", *(["userQuery"] if options.token_in_query else [])]
    security = [{"$ref": f"#/components/securitySchemes/{name}"} for name in users]
    about = {
        "socketio": (socket, "/socket.io/", "Socket.IO 5 on Engine.IO 4; channels are its namespaces"),
        "websocket": (socket, "/", "text frames, each one JSON object"),
        "streams": (web, "/", "Server-Sent Events"),
    }
    return {
        name: {
            "host": host,
            "protocol": protocol,
            "pathname": pathname,
            "description": said,
            "security": security,
        }
        for name, (protocol, pathname, said) in about.items()
    }


def _schemes(options: WebOptions) -> dict[str, Any]:
    """The users' schemes of OpenAPI in the words of AsyncAPI."""
    return {
        name: scheme | {"type": "httpApiKey"} if scheme["type"] == "apiKey" else scheme
        for name, scheme in document.security_schemes(options).items()
        if not name.startswith("key")
    }
