"""The ledger, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from html import escape
from typing import Any

from hub.simulator.ledger import Ledger

SHOWN = 200  # the newest, on the page for people
HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
_STYLE = (
    "body{font:15px/1.5 system-ui;margin:2rem}table{border-collapse:collapse;width:100%}"
    "td,th{border-top:1px solid #ccc;padding:.3rem .6rem;text-align:left;vertical-align:top}"
    "pre{margin:0;white-space:pre-wrap;max-width:50rem}.no{color:#a00}"
)


def state(ledger: Ledger, provider: str | None) -> dict[str, Any]:
    """What happened, oldest first; `accepts` counts by delivery."""
    return {
        "accepts": dict(ledger.accepts(provider)),
        "requests": [asdict(entry) for entry in ledger.of(provider)],
        "callbacks": [asdict(said) for said in ledger.callbacks if provider in (None, said.provider)],
    }


def html(state: dict[str, Any]) -> str:
    """The newest requests and callbacks as a page."""
    requests = "".join(map(_request, reversed(state["requests"][-SHOWN:])))
    callbacks = "".join(map(_callback, reversed(state["callbacks"][-SHOWN:])))
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Simulator</title><style>{_STYLE}</style>"
        f"<h1>Simulator</h1><p>{len(state['accepts'])} deliveries taken. Nothing has left this machine.</p>"
        f"<table><tr><th>at<th>provider<th>answer<th>to<th>message{requests}</table>"
        f"<h2>Callbacks</h2><table><tr><th>at<th>provider<th>event<th>deliveries<th>answer"
        f"{callbacks}</table>"
    )


def dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _request(entry: dict[str, Any]) -> str:
    said = entry["problem"] or json.dumps(entry["message"], indent=1, ensure_ascii=False)
    mark = "" if entry["taken"] else " class=no"
    cells = (_time(entry["at"]), entry["provider"], f"{entry['word']} {entry['answer']}", entry["to"])
    return f"<tr{mark}>{_cells(*cells)}<td><pre>{escape(said)}</pre>"


def _callback(said: dict[str, Any]) -> str:
    deliveries = ", ".join(said["deliveries"])
    return (
        f"<tr>{_cells(_time(said['at']), said['provider'], said['event'], deliveries, str(said['answer']))}"
    )


def _cells(*texts: str) -> str:
    return "".join(f"<td>{escape(text)}" for text in texts)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")
