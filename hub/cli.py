"""The `hub` command: which commands exist, and how their failures look.

Every failure that a person can mend is a line or two on standard error and an exit code: 2 for settings
and wrong usage, 1 for the rest. A traceback means a fault in the hub. What the commands do lives in
`hub.commands`.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from hub import __version__
from hub.commands import access, describe, doctor, launch, report, send, simulate
from hub.commands.start import Fault
from hub.domain.errors import Refusal

app = typer.Typer(
    help="Realtime notification hub.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
keys = typer.Typer(help="API keys of backends, and the key of web push.", no_args_is_help=True)
tenants = typer.Typer(help="Tenants.", no_args_is_help=True)

app.command("dev")(launch.dev)
app.command("serve")(launch.serve)
app.command("worker")(launch.worker)
app.command("simulate")(simulate.simulate)
app.command("migrate")(launch.migrate)
app.command("token")(access.token)
app.command("send")(send.send)
app.command("report")(report.report)
app.command("doctor")(doctor.doctor)
app.command("settings")(describe.settings)
app.add_typer(keys, name="key")
keys.command("create")(access.create_key)
keys.command("list")(access.list_keys)
keys.command("revoke")(access.revoke_key)
keys.command("vapid")(access.vapid)
app.add_typer(tenants, name="tenant")
tenants.command("create")(access.create_tenant)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"hub {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _asked: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Runs the command of `sys.argv` and exits."""
    try:
        app()
    except Fault as fault:
        _fail(str(fault), code=fault.code)
    except Refusal as refusal:
        _fail(refusal.detail)
    except BrokenPipeError:
        sys.exit(1)  # `hub ... | head`: nobody reads on
    except ValueError as error:
        from hub.settings import SettingsRefused

        if not isinstance(error, SettingsRefused):
            raise
        _fail(f"These settings have to change:\n{_indent(str(error))}", code=2)


def _fail(message: str, *, code: int = 1) -> None:
    print(f"hub: {message}", file=sys.stderr)
    sys.exit(code)


def _indent(lines: str) -> str:
    return "\n".join(f"  {line}" for line in lines.splitlines())
