"""The command line of the backend: ``python -m backend --help``."""

import argparse
import json
import sys
from functools import partial

from .api.command_help import DefaultsHelpFormatter
from .api.errors import DoubtfulView, OrbitError
from .commands import exit_codes, jobs, models, service


def create_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each sets ``command``, the function that runs it."""
    parser = argparse.ArgumentParser(
        prog="python -m backend", description="Orbit Texture without Blender, and the server for Blender."
    )
    commands = parser.add_subparsers(
        required=True,
        metavar="command",
        parser_class=partial(argparse.ArgumentParser, formatter_class=DefaultsHelpFormatter),
    )
    for module in (jobs, models, service):
        module.add_commands(commands)
    return parser


def main() -> int:
    options = create_parser().parse_args()
    try:
        return options.command(options) or 0
    except OrbitError as error:
        if getattr(options, "json", False):
            print(json.dumps({"error": error.to_dict()}))
        print(error.message, file=sys.stderr)
        return exit_codes.DOUBTFUL if isinstance(error, DoubtfulView) else exit_codes.BAD_INPUT
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
