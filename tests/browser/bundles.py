"""Client code into pages: the hub's own pages, and bundles of snippets as their authors would make them.

Both are built by the vite of clients/js, which is installed there when it is missing. Knows no browser.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients" / "js"
BUILT = ROOT / "hub" / "web" / "static" / "index.html"
SEEDS = ROOT / "tests" / "fixtures" / "seeds"
MISSING = "the tests with JavaScript clients did not run: there is no node and npm (20.19 or newer)"


def has_node() -> bool:
    return shutil.which("node") is not None and shutil.which("npm") is not None


def install() -> None:
    """The packages of clients/js, exactly as locked; nothing to do when they are there."""
    lock = CLIENT / "package-lock.json"
    done = CLIENT / "node_modules" / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
        _run("npm", "ci", "--no-audit", "--no-fund")


def build_pages() -> None:
    """The hub's own pages, unless what is built is newer than every source."""
    install()
    sources = [*CLIENT.glob("*.ts"), *CLIENT.glob("*.mjs"), *CLIENT.glob("*.json")]
    sources += [path for part in ("src", "pages") for path in (CLIENT / part).rglob("*") if path.is_file()]
    if not BUILT.exists() or BUILT.stat().st_mtime < max(path.stat().st_mtime for path in sources):
        _run("npm", "run", "build")


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=CLIENT, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


async def bundle(
    directory: Path,
    files: Mapping[str, str],
    define: Mapping[str, str],
    *,
    alias: Mapping[str, str] | None = None,
) -> Path:
    """Builds a page in `directory` from `files` (by path; `main.*` is the entry). Returns where it is.

    `define` replaces expressions by literals, as a bundler is told to; `alias` says where packages stand.
    """
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    [entry] = [name for name in files if name.startswith("main.")]
    page = '<!doctype html><link rel="icon" href="data:,"><div id="root"></div>'
    page += f'<script type="module" src="/{entry}"></script>'
    (directory / "index.html").write_text(page)
    (directory / "node_modules").symlink_to(CLIENT / "node_modules")
    literals = {name: json.dumps(value) for name, value in define.items()}
    config = {
        "root": str(directory),
        "logLevel": "warn",
        "define": literals,
        "resolve": {"alias": dict(alias or {})},
    }
    (directory / "vite.config.mjs").write_text(f"export default {json.dumps(config)};")
    vite = await asyncio.create_subprocess_exec(
        "node",
        str(CLIENT / "node_modules" / "vite" / "bin" / "vite.js"),
        "build",
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await vite.communicate()
    if vite.returncode:
        raise RuntimeError(f"vite failed:\n{output.decode()[-3000:]}")
    return directory / "dist"


def snippet(name: str) -> str:
    """A seed's code as its author wrote it, without the line above that says whose it is."""
    return (SEEDS / name).read_text(encoding="utf-8").partition("\n")[2]
