"""`hub settings`: every setting with its names, default and meaning, made from the settings themselves.

The reference in the documentation is this table; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import typer


class Row(NamedTuple):
    names: tuple[str, ...]
    default: str
    meaning: str


def settings(
    markdown: Annotated[bool, typer.Option("--markdown", help="As a Markdown table.")] = False,
) -> None:
    """Print every setting: its names, its default and what it does."""
    if markdown:
        typer.echo(markdown_table())
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("Setting", "Default", "Meaning"):
        table.add_column(heading, overflow="fold")
    for row in rows():
        table.add_row("\n".join(row.names), row.default, row.meaning)
    Console(markup=False, highlight=False).print(table)


def rows() -> Iterator[Row]:
    """One row per setting, in the order of the file that defines them."""
    from hub.settings import Settings, names

    for name, field in Settings.model_fields.items():
        yield Row(names(name), _shown(field.get_default()), field.description or "")


def markdown_table() -> str:
    """The rows as a Markdown table."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for row in rows():
        called = ", ".join(f"`{name}`" for name in row.names)
        default = f"`{row.default}`" if row.default else ""
        lines.append(f"| {called} | {default} | {row.meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def _shown(default: Any) -> str:
    """A default as one would write it in the environment; nothing for one that is unset."""
    if default is None or default == []:
        return ""
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, list):
        return ",".join(map(str, default))
    return str(default)
