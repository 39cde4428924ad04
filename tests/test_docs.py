"""The pages say what the code does: nothing is undocumented, nothing is stale, every link and command exists.

Names are taken from the code (settings, refusals, routes, commands, the table of client events, and the
string constants by which signals are sent), so that something new fails here until it is described.
"""

from __future__ import annotations

import ast
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from hub.cli import app as cli
from hub.domain.access import KINDS, SCOPES
from hub.domain.delivery import Status
from hub.domain.errors import all_refusals, explanation
from hub.settings import Settings, names
from hub.web.error_pages import explained
from hub.web.events import EVENTS
from hub.web.routes import ROUTES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "examples").rglob("*.md")])
# Where a reader types what is shown.
RUN = [
    ROOT / "README.md",
    *(DOCS / name for name in ("quickstart.md", "operations.md", "api.md", "protocol.md", "sse.md")),
]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
# Of the machine or the people the project is made with, nothing belongs into it.
FORBIDDEN = re.compile(
    r"/work/|/root/|/home/|/tmp/|\bPLAN\.md|contract\.md|reliability\.md|performance\.md|ecosystem\.md"
    r"|\bseed \d|\bTODO\b|\bFIXME\b",
    re.IGNORECASE,
)


def page(name: str) -> str:
    return (DOCS / name).read_text()


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every table row."""
    for line in text.splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


# -- generated blocks ------------------------------------------------------------------------------------
def test_generated_blocks_are_those_of_the_code() -> None:
    generate = runpy.run_path(str(DOCS / "generate.py"))
    stale = [relative(path) for path in generate["stale"]()]
    assert not stale, f"run python docs/generate.py: {', '.join(stale)} differ from the code"


def test_an_unknown_block_is_refused() -> None:
    generate = runpy.run_path(str(DOCS / "generate.py"))
    with pytest.raises(KeyError):
        generate["renewed"]("<!-- generated: nothing -->\n<!-- end: nothing -->")


# -- what has to be described ------------------------------------------------------------------------------
def test_every_setting_is_described_under_all_its_names() -> None:
    described = {
        name for cells in rows(page("configuration.md")) for name in re.findall(r"`(\w+)`", cells[0])
    }
    wanted = {name for field in Settings.model_fields for name in names(field)}
    assert not wanted - described
    assert all(field.description for field in Settings.model_fields.values())


def test_every_error_code_has_its_section_with_a_meaning_and_what_to_do() -> None:
    text = page("errors.md").split("## Every code")[1].split("\n## ")[0]
    sections = {part.partition("\n")[0]: part for part in text.split("\n### ")[1:]}
    for refusal in all_refusals():
        assert refusal.__doc__, f"{refusal.__name__} does not say what it means"
        assert all(explanation(refusal)), f"{refusal.__name__} does not say what to do"
        section = sections[refusal.code]
        assert section.split("\n\n")[1].startswith(f"{refusal.status}, *{refusal.title}*"), refusal.code
        assert "**What to do.** " in section
    assert len(sections) == len(explained()), "two refusals share a code"


def test_every_reason_to_close_a_session_is_described() -> None:
    codes: set[object] = set()
    for path in [*(ROOT / "hub" / "services").glob("*.py"), *(ROOT / "hub" / "web").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "end"
            ):
                codes.update(arg.value for arg in node.args[1:2] if isinstance(arg, ast.Constant))
    section = page("errors.md").split("## Why a connection ends")[1]
    assert codes
    assert codes == {cells[0].strip("`") for cells in rows(section) if re.fullmatch(r"`\w+`", cells[0])}


def test_every_setting_does_something() -> None:
    roof = [
        *(ROOT / "hub").glob("*.py"),
        *(ROOT / "hub" / "commands").glob("*.py"),
        *(ROOT / "hub" / "settings").glob("*.py"),
        ROOT / "tasks" / "app.py",
    ]
    read = {
        node.attr
        for path in roof
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
    }
    assert not set(Settings.model_fields) - read, "settings that nothing reads"


def sent_names() -> set[str]:
    """The names of events that are sent, as the constants given to `signal`, `Reply`, `_tell` and `Frame`."""
    found: set[str] = set()
    for path in [*(ROOT / "hub" / "services").glob("*.py"), *(ROOT / "hub" / "web").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
                given: list[ast.expr] = []
                if called in {"signal", "Reply", "_tell"}:
                    given = node.args
                elif called == "Frame":
                    given = [word.value for word in node.keywords if word.arg == "wire"]
                found.update(
                    arg.value for arg in given if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
                )
    return found


def test_every_event_is_described() -> None:
    text = page("protocol.md")
    assert {"heartbeat", "sync:reset", "connected", "delivery:update", "notification:read"} <= sent_names()
    for name in EVENTS:
        assert re.search(rf"^\| `{name}\b", text, re.MULTILINE), f"what a client sends: {name}"
    for name in {"notification:new", *sent_names()}:
        assert re.search(rf"`{re.escape(name)}[` ]", text), f"what the hub sends: {name}"


def test_every_described_event_exists() -> None:
    text = page("protocol.md")
    sends = text.split("### What a client sends")[1].split("### What the hub sends")
    described = {cells[0].split("`")[1].split(" ")[0] for cells in rows(sends[0]) if "`" in cells[0]}
    assert described == set(EVENTS)
    table = sends[1].split("### ")[0]
    described = {cells[0].strip("`") for cells in rows(table) if cells[0].startswith("`")}
    assert described <= sent_names() | {"notification:new"}


def test_every_field_of_connected_is_described() -> None:
    [connected] = [
        node.value
        for node in ast.walk(ast.parse((ROOT / "hub" / "services" / "sessions.py").read_text()))
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Dict)
        and ast.unparse(node.targets[0]) == "connected"
    ]
    fields = {key.value for key in connected.keys if isinstance(key, ast.Constant)}
    section = page("protocol.md").split("## `connected`")[1].split("\n## ")[0]
    described = {name for cells in rows(section) for name in re.findall(r"`(\w+)`", cells[0])}
    assert fields == described


def test_every_route_is_described_and_every_described_route_exists() -> None:
    text = page("api.md") + page("protocol.md") + page("sse.md")
    wanted = {(route.method, re.sub(r"{(\w+):.*}", r"{\1}", route.path)) for route in ROUTES}
    for method, path in wanted:
        shown = path.replace("{path}", "...")
        assert re.search(rf"{method} {re.escape(shown)}(`|\n|\?)", text), f"{method} {path} is not described"
    described = set(re.findall(r"^### (GET|POST|PUT|PATCH|DELETE) (\S+)$", text, re.MULTILINE))
    assert described <= wanted


def test_every_state_room_and_scope_is_named() -> None:
    assert all(f"`{status}`" in page("deliveries.md") for status in Status)
    assert all(f"`{kind}:" in page("protocol.md") for kind in KINDS)
    assert all(scope in page("cli.md") for scope in SCOPES)


# -- pages ---------------------------------------------------------------------------------------------------
def anchors(text: str) -> set[str]:
    """As GitHub makes them from headings."""
    heads = re.findall(r"^#+ (.+)$", re.sub(FENCE, "", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_links_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(re.sub(FENCE, "", path.read_text())):
        if re.match(r"https?://|mailto:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), f"{relative(path)} links to {target}"
        if anchor:
            assert anchor in anchors(there.read_text()), f"{relative(path)} links to {target}"


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_no_page_speaks_of_where_it_was_made(path: Path) -> None:
    assert not FORBIDDEN.search(path.read_text())


def test_every_page_is_in_the_index() -> None:
    index = page("README.md")
    for path in DOCS.glob("*.md"):
        assert path.name == "README.md" or f"({path.name})" in index, path.name
    decisions = page("decisions/README.md")
    for path in (DOCS / "decisions").glob("0*.md"):
        assert f"({path.name})" in decisions
        assert all(f"**{part}.**" in path.read_text() for part in ("Context", "Choice", "Price"))


# -- commands that are shown ------------------------------------------------------------------------------
def commands() -> dict[str, Any]:
    """Every `hub` command by its words: `key create`."""

    def walk(words: str, command: Any) -> Iterator[tuple[str, Any]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield words, command
        else:
            for word, child in inner.items():
                yield from walk(f"{words} {word}".strip(), child)

    return dict(walk("", typer.main.get_command(cli)))


def shown_commands() -> Iterator[tuple[Path, str]]:
    """Each command line in a console or bash block, continuation lines joined."""
    for path in RUN:
        for _, language, text in FENCE.findall(path.read_text()):
            if language in {"bash", "sh", "console"}:
                for line in re.sub(r"\\\n\s*", " ", text).splitlines():
                    if language != "console" or line.startswith("$ "):
                        yield path, line.removeprefix("$ ")


def test_shown_hub_commands_and_their_options_exist() -> None:
    known, seen = commands(), 0
    for path, line in shown_commands():
        for call in re.findall(r"(?:^|[(&;|] ?)hub ([^)|;&]+)", line):
            words = call.split()
            name = next((n for n in (" ".join(words[:2]), words[0]) if n in known), None)
            assert name, f"{relative(path)}: hub {call}"
            options = {option for parameter in known[name].params for option in parameter.opts}
            used = {word for word in words if word.startswith("--")}
            assert used <= options, f"{relative(path)}: hub {call}"
            seen += 1
    assert seen >= 2


def test_commands_named_in_a_sentence_exist() -> None:
    known = commands()
    groups = {name.split()[0] for name in known}
    for path in PAGES:
        for call in re.findall(r"`hub ([a-z][^`]*)`", path.read_text()):
            words = call.split()
            assert words[0] in groups, f"{relative(path)}: hub {call}"
            assert words[0] in known or " ".join(words[:2]) in known, f"{relative(path)}: hub {call}"


def test_shown_requests_go_to_routes_that_exist() -> None:
    paths = {route.path for route in ROUTES}
    seen = 0
    for path, line in shown_commands():
        if "curl" in line.split():
            for url in re.findall(r"https?://[^/\s]+(/[^\s?\"']*)", line):
                assert url in paths, f"{relative(path)}: {line}"
                seen += 1
    assert seen >= 3


def test_shown_make_targets_and_scripts_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    seen = 0
    for path, line in shown_commands():
        for target in re.findall(r"(?:^|&& )make ([\w-]+)", line):
            assert target in targets, f"{relative(path)}: {line}"
            seen += 1
        for script in re.findall(r"python ((?:examples|docs|benchmarks)/\S+)", line):
            assert (ROOT / script).exists(), f"{relative(path)}: {line}"
            seen += 1
    assert seen >= 2
