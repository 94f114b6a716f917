"""How all command lines explain themselves. Standard library only, since install.py imports it before
anything is installed."""

import argparse
from typing import NoReturn

from .errors import InvalidSettings

_NOTHING = (None, False, "", argparse.SUPPRESS)
"""Defaults that say nothing to a user."""


class DefaultsHelpFormatter(argparse.HelpFormatter):
    """Adds an option's default to its help, unless the help says it or it is nothing."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        if not action.option_strings or action.default in _NOTHING or "%(default)" in text:
            return text
        return f"{text} (default: %(default)s)"


def describe_default(text: str, default: object) -> str:
    """The help of an option that has no default of its own, since something else may give its value."""
    return text if default in _NOTHING else f"{text} (default: {default})"


class CommandParser(argparse.ArgumentParser):
    """Raises what is wrong with the arguments, so that it is reported like every other error."""

    def error(self, message: str) -> NoReturn:
        """Raises :class:`InvalidSettings`."""
        raise InvalidSettings(f"{message[:1].upper()}{message[1:]}. Add --help for what there is.")
