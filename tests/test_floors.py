"""The house keeps its floors: imports point downward only, and the domain stays pure.

Every module of `hub` and `tasks` is parsed, also the imports inside functions and under TYPE_CHECKING.
The checker knows no module by heart but the table below; it is itself tested on trees that break each rule.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the roof down. Rooms of one floor are strangers to each other, except on the roof, which is one room.
FLOORS: tuple[tuple[str, ...], ...] = (
    (
        *(
            "hub.cli",
            "hub.commands",
            "hub.app",
            "hub.choices",
            "hub.clock",
            "hub.outside",
            "hub.senders",
            "hub.stores",
            "hub.serve",
            "hub.dev",
            "hub.interpreter",
            "hub.supervise",
            "hub.logs",
            "hub.metrics",
            "hub.siblings",
            "hub.tls",
        ),
        *("hub.__main__", "tasks.app"),
    ),
    ("hub.web", "tasks"),
    ("hub.services",),
    ("hub.realtime", "hub.store", "hub.cluster", "hub.providers", "hub.simulator"),
    ("hub.domain",),
)
ROOF = 0
SETTINGS = "hub.settings"
READ_SETTINGS = (*FLOORS[ROOF], SETTINGS)

# What a floor must never know, whoever wrote it.
FOREIGN: dict[str, frozenset[str]] = {
    "hub.web": frozenset({"sqlalchemy", "redis", "celery"}),
    "hub.services": frozenset({"aiohttp", "socketio", "engineio", "celery", "os"}),
    "hub.realtime": frozenset({"sqlalchemy", "celery"}),
    "hub.store": frozenset({"redis", "socketio", "aiohttp", "celery"}),
    "hub.cluster": frozenset({"sqlalchemy", "socketio", "aiohttp", "celery"}),
    "hub.providers": frozenset({"sqlalchemy", "redis", "socketio", "celery"}),
    "hub.simulator": frozenset({"sqlalchemy", "redis", "socketio", "celery"}),
    "hub.domain": frozenset(
        {
            *("asyncio", "threading", "time", "random", "secrets", "uuid", "os", "sys", "pathlib", "socket"),
            *("logging", "structlog", "json", "orjson", "pickle", "subprocess", "tempfile"),
            *("aiohttp", "socketio", "engineio", "sqlalchemy", "redis", "celery", "pydantic", "ulid"),
        }
    ),
}
# Calls by which a pure module would learn the time, or talk.
IMPURE_CALLS = frozenset({"now", "utcnow", "today", "open", "print", "input"})


def module_of(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def place(module: str) -> tuple[int, str] | None:
    """The floor (0 is the roof) and the room a module is in; None: not in the house."""
    return next(
        ((floor, room) for floor, rooms in enumerate(FLOORS) for room in rooms if within(module, room)), None
    )


def imports(tree: ast.Module, module: str, *, package: bool) -> Iterator[tuple[int, str]]:
    """Every imported name with its line: `from a import b` gives `a` and `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                above = module.split(".")
                above = above[: len(above) - node.level + (1 if package else 0)]
                source = ".".join([*above, source]).rstrip(".")
            yield node.lineno, source
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func)
            if called in {"import_module", "importlib.import_module", "__import__"}:
                yield node.lineno, str(node.args[0].value)


def impurities(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield node.lineno, "the domain does not wait (async)"
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            if name in IMPURE_CALLS:
                yield node.lineno, f"the domain is told what it needs and does not call {name}()"


def fault_of(module: str, imported: str) -> str | None:
    """What is wrong with `module` importing `imported`, if anything."""
    if within(imported, SETTINGS) and not any(within(module, reader) for reader in READ_SETTINGS):
        return f"{imported}: only the roof reads settings ({', '.join(READ_SETTINGS)}); pass the value down"
    here, there = place(module), place(imported)
    foreign = next((names for package, names in FOREIGN.items() if within(module, package)), frozenset())
    if imported.split(".")[0] in foreign:
        return f"{imported}: {here[1] if here else module} must not know {imported.split('.')[0]}"
    if here is None or there is None:
        return None
    if there[0] < here[0]:
        return f"{imported}: points upward, from {here[1]} to {there[1]}"
    if there[0] == here[0] != ROOF and there[1] != here[1]:
        return f"{imported}: points sideways, {here[1]} and {there[1]} are strangers"
    return None


def check(root: Path) -> list[str]:
    """Every fault of the tree below `root`, one readable line each."""
    faults: set[tuple[str, int, str]] = set()
    for path in sorted([*root.glob("hub/**/*.py"), *root.glob("tasks/**/*.py")]):
        module, tree = module_of(path, root), ast.parse(path.read_text(), str(path))
        where = str(path.relative_to(root))
        if module != "hub" and not within(module, SETTINGS) and place(module) is None:
            faults.add((where, 1, f"{module} stands on no floor: add it to FLOORS or move it"))
        seen: set[tuple[int, str]] = set()
        for line, name in imports(tree, module, package=path.name == "__init__.py"):
            fault = fault_of(module, name)
            room = place(name)
            # `from hub.web import x` names the fault once, not for hub.web and again for hub.web.x.
            mark = (line, room[1] if room else name.split(".")[0])
            if fault and mark not in seen:
                seen.add(mark)
                faults.add((where, line, fault))
        if within(module, "hub.domain"):
            faults.update((where, line, why) for line, why in impurities(tree))
    return [f"{where}:{line}: {why}" for where, line, why in sorted(faults)]


def test_imports_point_downward_and_the_domain_is_pure() -> None:
    faults = check(ROOT)
    assert not faults, "the house has broken floors:\n" + "\n".join(faults)


def test_the_checker_sees_every_module() -> None:
    modules = {module_of(path, ROOT) for path in [*ROOT.glob("hub/**/*.py"), *ROOT.glob("tasks/**/*.py")]}
    assert {"hub.domain.errors", "hub.store.tables", "hub.settings"} <= modules


BROKEN = {
    "upward": ("hub/domain/rules.py", "from hub.store.tables import events", "points upward"),
    "upward to the roof": ("hub/web/api.py", "import hub.app", "points upward"),
    "upward by name": ("hub/store/x.py", "from hub import services", "points upward"),
    "upward, relative": ("hub/store/x.py", "from ..services import ingest", "points upward"),
    "upward from a package": ("hub/store/__init__.py", "from ..web import api", "points upward"),
    "upward in a function": (
        "hub/realtime/x.py",
        "def f():\n    import hub.services.ingest",
        "points upward",
    ),
    "upward by a string": ("hub/realtime/x.py", "import_module('hub.web.api')", "points upward"),
    "upward for a type": (
        "hub/services/x.py",
        "if TYPE_CHECKING:\n    from hub.web.api import Api",
        "points upward",
    ),
    "sideways below": ("hub/cluster/bus.py", "from hub.store import events", "strangers"),
    "sideways between doors": ("hub/web/api.py", "from tasks.queues import queue_of", "strangers"),
    "settings below the roof": ("hub/services/x.py", "from hub.settings import Settings", "reads settings"),
    "settings as a name": ("hub/store/x.py", "from hub import settings", "reads settings"),
    "a task that reads settings": ("tasks/notification.py", "import hub.settings", "reads settings"),
    "a task that builds the hub": ("tasks/worker.py", "from hub.app import build", "points upward"),
    "http in a service": ("hub/services/x.py", "from aiohttp import web", "must not know aiohttp"),
    "sql in a door": ("hub/web/x.py", "import sqlalchemy as sa", "must not know sqlalchemy"),
    "a clock in the domain": ("hub/domain/x.py", "import time", "must not know time"),
    "chance in the domain": ("hub/domain/x.py", "from random import choice", "must not know random"),
    "the time in the domain": ("hub/domain/x.py", "at = datetime.now(UTC)", "does not call now()"),
    "waiting in the domain": ("hub/domain/x.py", "async def f(): pass", "does not wait"),
    "no floor": ("hub/utils.py", "x = 1", "stands on no floor"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_floor_is_found_and_named(tmp_path: Path, name: str) -> None:
    file, code, message = BROKEN[name]
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(f"'A module.'\n{code}\n")
    faults = check(tmp_path)
    assert len(faults) == 1
    assert faults[0].startswith(f"{file}:")
    assert message in faults[0]


def test_a_sound_house_has_no_faults(tmp_path: Path) -> None:
    sound = {
        "hub/cli.py": "from hub.app import build\nfrom hub.settings import Settings\nimport time",
        "hub/app.py": "from hub.web import routes\nimport hub.store.events, tasks.app, asyncio",
        "hub/web/routes.py": "from hub.services import ingest\nfrom .api import x\nfrom aiohttp import web",
        "hub/web/api.py": "import hub.realtime.frames\nfrom hub.domain.errors import Refusal",
        "hub/services/ingest.py": "from hub.store.events import EventLog\nfrom hub.cluster import bus",
        "hub/store/events.py": "from hub.store.tables import events\nimport sqlalchemy",
        "hub/domain/events.py": "from datetime import datetime\nfrom hub.domain.errors import Refusal",
        "tasks/app.py": "from hub.settings import Settings\nfrom hub.app import build\nimport celery",
    }
    for file, code in sound.items():
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    assert check(tmp_path) == []
