"""What every command does first: read the settings, and say in words what stops it.

`Fault` is the one way a command gives up: the command line prints its lines and exits with its code. Does
not know the commands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # `hub --help` reads no settings, and is shown faster without them
    from pydantic import ValidationError

    from hub.settings import Settings


class Fault(Exception):
    """A command cannot do what it was asked. `str()` is what a person reads, `code` what a script sees."""

    def __init__(self, message: str, *, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def load(**given: object) -> Settings:
    """The settings; what is given here and not None wins. Raises `SettingsRefused`, a line per setting."""
    from pydantic import ValidationError

    from hub.settings import Settings, SettingsRefused

    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**chosen)
    except ValidationError as error:
        raise SettingsRefused("\n".join(_faults(error))) from None


def load_safe(**given: object) -> Settings:
    """`load`, and in production `SettingsRefused` for what would be unsafe to start with."""
    settings = load(**given)
    settings.require_safe()
    return settings


def _faults(error: ValidationError) -> list[str]:
    """One line per wrong setting. The value is not repeated: it may be a secret."""
    from hub.settings import Settings, names

    fields = {name: field for field in Settings.model_fields for name in (field, *names(field))}
    lines = []
    for fault in error.errors(include_input=False, include_url=False):
        called = names(fields[str(fault["loc"][0])])
        also = f" (or {', '.join(called[1:])})" if called[1:] else ""
        lines.append(f"{called[0]}{also}: {fault['msg']}")
    return lines
