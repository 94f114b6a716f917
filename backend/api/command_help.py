"""How all command lines explain themselves. Standard library only, since install.py imports it before
anything is installed."""

import argparse

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
