"""Writes into the pages what the code knows better: `python docs/generate.py`, or `--check` to only compare.

A page marks the place of a block with `<!-- generated: NAME -->` and `<!-- end: NAME -->`; what stands
between is replaced. Some files are made as a whole. Knows which block is made how, and nothing of the pages.
"""

from __future__ import annotations

import json
import re
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hub.domain.events import Registry

DOCS = Path(__file__).parent
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end: \2 -->)", re.DOTALL)


def settings() -> str:
    from hub.commands.describe import markdown_table

    return markdown_table()


def transitions() -> str:
    """The states of a delivery as a diagram."""
    from hub.domain.delivery import TERMINAL, TRANSITIONS, Status

    order = list(Status)
    lines = [
        "```mermaid",
        "stateDiagram-v2",
        f"    [*] --> {Status.PLANNED}",
        f"    [*] --> {Status.SKIPPED}",
    ]
    for state in order:
        lines += [f"    {state} --> {after}" for after in order if after in TRANSITIONS[state]]
    lines += [f"    {state} --> [*]" for state in order if state in TERMINAL]
    return "\n".join([*lines, "```"])


def _registry() -> Registry:
    import tomllib

    from hub.domain.events import Registry

    return Registry.from_tables(tomllib.loads((DOCS.parent / "hub" / "types.toml").read_text()))


def types() -> str:
    """The registry of event types as a table."""
    lines = ["| type | sent as | also accepted | channels | severity | rules |", "|---|---|---|---|---|---|"]
    for name, kind in _registry().types.items():
        aliases = ", ".join(f"`{alias}`" for alias in kind.aliases)
        channels = ", ".join(kind.channels)
        cells = (f"`{name}`", f"`{kind.wire}`", aliases, channels, kind.severity, _rules(kind))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _rules(kind: Any) -> str:
    """What else is said of a type, in words."""
    said = [f"kept {kind.ttl_days} days"] if kind.ttl_days else []
    said += [] if kind.mutable else ["cannot be muted"]
    said += [f"{channel} after {seconds // 60} min unless seen" for channel, seconds in kind.escalate.items()]
    if kind.throttle:
        said.append(f"outside at most {kind.throttle.most} in {kind.throttle.seconds // 60} min")
    if kind.digest:
        said.append(f"gathered for {kind.digest.window // 60} min")
    return "; ".join(said)


def commands() -> str:
    """Every command of `hub`: what it does, its arguments and options."""
    import typer

    from hub.cli import app

    return "\n\n".join(_command("hub", typer.main.get_command(app)))


def _command(name: str, command: Any) -> Iterator[str]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield f"### {name}\n\n{' '.join((command.help or '').split())}"
        shown = [one for one in command.params if one.name != "help" and not getattr(one, "hidden", False)]
        rows = [_parameter(parameter) for parameter in shown]
        if rows:
            yield "\n".join(["| | | default |", "|---|---|---|", *rows])
    else:
        for word, child in sorted(inner.items()):
            yield from _command(f"{name} {word}", child)


def _parameter(parameter: Any) -> str:
    option = parameter.param_type_name == "option"
    called = ", ".join(parameter.opts) if option else parameter.name.upper()
    help = parameter.help or ""
    if getattr(parameter, "envvar", None):
        help += f" Also read from {parameter.envvar}."
    default = "" if parameter.default in (None, False, "", []) or parameter.required else parameter.default
    shown = "required" if parameter.required else f"`{default}`" if default != "" else ""
    return f"| `{called}` | {help.strip()} | {shown} |"


# What each table is for. A table that is missing here fails the test of these pages.
TABLES = {
    "tenants": "one row per tenant: epoch, newest offset, what retention removed",
    "events": "the log",
    "event_rooms": "which rooms an event went to",
    "scheduled": "accepted requests that wait for their `sendAt`",
    "receipts": "what one user did with one notification",
    "delivered_marks": "up to where a user's clients have acknowledged everything",
    "read_marks": "up to where a user has read everything",
    "deliveries": "one notification to one person on one outside channel",
    "attempts": "every call of a provider",
    "people": "where a person can be reached",
    "people_roles": "who is meant by a role when it is mailed",
    "preferences": "what a person wants, as far as it was said",
    "mutes": "who wants nothing in the app of a type",
    "suppressions": "addresses that get nothing any more, hashed",
    "push_subscriptions": "browsers that get web push",
    "templates": "a tenant's own words in place of the hub's",
    "type_rules": "what a tenant says of an event type in place of the registry",
    "spent": "how much of a budget is spent, by window",
    "api_keys": "keys of backends, hashed",
    "idempotency_keys": "what was answered to which key",
    "expansions": "audiences that are being turned into deliveries, chunk by chunk",
    "revocations": "tokens that were called back before their end",
    "callbacks": "what providers said after they took a message",
    "audit": "what admins did",
    "outbox": "the development sandbox",
}


def tables() -> str:
    """Every table with its key. Raises KeyError for one that nobody has described."""
    from hub.store.tables import metadata

    rows = []
    for table in metadata.sorted_tables:
        key = ", ".join(f"`{column.name}`" for column in table.primary_key)
        rows.append(f"| `{table.name}` | {TABLES[table.name]} | {key} |")
    return "\n".join(["| table | holds | key |", "|---|---|---|", *sorted(rows)])


def metrics() -> str:
    """Every number of `/metrics` that is the hub's own."""
    from hub.metrics import FAMILIES

    rows = []
    for family in FAMILIES:
        labels = ", ".join(f"`{label}`" for label in family.labels)
        rows.append(f"| `{family.name}` | {family.kind} | {labels} | {family.help} |")
    return "\n".join(["| name | kind | labels | |", "|---|---|---|---|", *rows])


def errors() -> str:
    """Every error code: what it means, and what to do."""
    from hub.web.error_pages import explained

    parts = []
    for one in explained().values():
        again = "; the same request may succeed later" if one.retryable else ""
        said = f"{one.status or 'On connections'}, *{one.title}*{again}. {one.meaning}"
        parts.append(f"### {one.code}\n\n{said}\n\n**What to do.** {one.remedy}")
    return "\n\n".join(parts)


def postman() -> str:
    """The requests of the API, for Postman and what reads its format; as a hub in development serves them."""
    from hub.choices import web_options
    from hub.settings import Settings
    from hub.web.openapi.document import document
    from hub.web.routes import ROUTES

    collection = runpy.run_path(str(DOCS / "postman.py"))["collection"]
    described = document(ROUTES, web_options(Settings.model_construct()))
    return json.dumps(collection(described), indent=1, ensure_ascii=False) + "\n"


def client_types() -> str:
    """The types of the browser client: what its own user hears and asks for."""
    from hub.choices import web_options
    from hub.settings import Settings
    from hub.web.openapi import document, signals
    from hub.web.openapi.shapes import needed, ref

    schemas = document.schemas(web_options(Settings.model_construct())) | signals.PROTOCOL
    asked = [ref(name) for name in CLIENT_TYPES]
    found = needed(schemas, [asked, [payload for payload, _ in signals.SENDS.values()]])
    made = runpy.run_path(str(DOCS / "client_types.py"))["module"]
    return str(made(found, signals.SENDS, _registry().types.values()))


def client_names() -> str:
    """What a browser's own EventSource must listen to."""
    from hub.web.openapi import signals

    made = runpy.run_path(str(DOCS / "client_types.py"))["names"]
    heard = [name for name in signals.SENDS if name != "notification:new"]
    return str(made(heard, _registry().types.values()))


CLIENT_TYPES = (
    "Envelope",
    "InboxItem",
    "InboxStats",
    "Location",
    "PreferencesChange",
    "ReadAll",
    "Step",
    "Ticket",
)
BLOCKS: dict[str, Callable[[], str]] = {
    "settings": settings,
    "transitions": transitions,
    "types": types,
    "commands": commands,
    "tables": tables,
    "metrics": metrics,
    "errors": errors,
}
FILES: dict[str, Callable[[], str]] = {
    "postman_collection.json": postman,
    "../clients/js/src/generated.ts": client_types,
    "../clients/js/src/names.ts": client_names,
}


def renewed(page: str) -> str:
    """The page with its blocks made anew. Raises KeyError for a block that nobody knows."""
    return BLOCK.sub(lambda found: f"{found[1]}{BLOCKS[found[2]]()}\n{found[3]}", page)


def stale() -> dict[Path, str]:
    """Every page that differs from what it would be now, and what it would be."""
    pages = {path: renewed(path.read_text()) for path in sorted(DOCS.rglob("*.md"))}
    pages |= {DOCS / name: made() for name, made in FILES.items()}
    return {path: text for path, text in pages.items() if not path.exists() or text != path.read_text()}


def main() -> int:
    pages = stale()
    checking = "--check" in sys.argv[1:]
    for path, text in pages.items():
        name = path.resolve().relative_to(DOCS.parent)
        sys.stdout.write(f"{name} {'is out of date' if checking else 'written'}\n")
        if not checking:
            path.write_text(text)
    return 1 if checking and pages else 0


if __name__ == "__main__":
    sys.exit(main())
