"""What the measurements need beside the hub, made on first use under `benchmarks/build`.

The C programs by gcc; the Node peer by `npm ci`; nginx and nchan unpacked from Debian's packages without
being installed, so that no service starts. What cannot be made raises `Missing`, which says why.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE / "build"
SOURCES = {
    "loadgen": ("loadgen.c", "receivers.c", "parsing.c", "publisher.c", "http.c", "process.c"),
    "poster": ("poster.c", "http.c", "process.c"),
    "getter": ("getter.c", "http.c", "process.c"),
    "limit": ("limit.c",),
}
DEBIAN_PACKAGES = ("nginx", "libnginx-mod-nchan")
# nchan will have it there, whatever the configuration says.
NGINX_STATE = Path("/var/lib/nginx")


class Missing(RuntimeError):
    """Something a measurement needs cannot be had here."""


def program(name: str) -> Path:
    """One of the C programs, compiled when a source is newer."""
    directory, binary = HERE / "c", BUILD / name
    newest = max(path.stat().st_mtime for path in directory.iterdir())
    if not binary.exists() or binary.stat().st_mtime < newest:
        BUILD.mkdir(exist_ok=True)
        sources = [str(directory / source) for source in SOURCES[name]]
        _run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(binary), *sources])
    return binary


def node_peer() -> Path:
    """The Socket.IO server for Node, with what it needs beside it."""
    target, peer = BUILD / "peers", HERE / "peers"
    target.mkdir(parents=True, exist_ok=True)
    for path in (path for path in peer.iterdir() if path.is_file()):
        shutil.copy(path, target)
    installed, wanted = target / "installed", (peer / "package-lock.json").read_text()
    if not installed.exists() or installed.read_text() != wanted:
        _run(["npm", "ci", "--loglevel=error"], cwd=target)
        installed.write_text(wanted)
    return target / "socketio.js"


@dataclass(frozen=True, slots=True)
class Nginx:
    binary: Path
    module: Path


def nginx() -> Nginx:
    """nginx and its nchan module."""
    root = BUILD / "nginx"
    found = Nginx(root / "usr/sbin/nginx", root / "usr/lib/nginx/modules/ngx_nchan_module.so")
    if not found.module.exists():
        root.mkdir(parents=True, exist_ok=True)
        _download(root)
        for package in root.glob("*.deb"):
            _run(["dpkg-deb", "-x", str(package), str(root)])
    try:
        NGINX_STATE.mkdir(exist_ok=True)
    except PermissionError:
        raise Missing(f"nchan needs {NGINX_STATE}, which only root can make (or install nginx)") from None
    return found


def _download(target: Path) -> None:
    command = ["apt-get", "download", "-qq", *DEBIAN_PACKAGES]
    try:
        _run(command, cwd=target)
    except Missing:
        _run(["apt-get", "update", "-qq"])  # the package lists may be old, or none
        _run(command, cwd=target)


def _run(command: Sequence[str], cwd: Path | None = None) -> None:
    try:
        subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise Missing(f"{command[0]} is not installed") from None
    except subprocess.CalledProcessError as error:
        words = (error.stderr or error.stdout).strip()[:500] or error.returncode
        raise Missing(f"{' '.join(command[:2])}: {words}") from None
