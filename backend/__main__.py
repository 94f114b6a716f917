"""The command line of the backend: ``python -m backend --help``."""

import argparse
import json
import sys
from functools import partial

from .api import exit_codes
from .api.command_help import CommandParser, DefaultsHelpFormatter
from .api.errors import Cancelled, OrbitError
from .api.faults import explain_fault
from .commands import jobs, models, service


def create_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each sets ``command``, the function that runs it."""
    parser = CommandParser(
        prog="python -m backend", description="Orbit Texture without Blender, and the server for Blender."
    )
    commands = parser.add_subparsers(
        required=True,
        metavar="command",
        parser_class=partial(CommandParser, formatter_class=DefaultsHelpFormatter),
    )
    for module in (jobs, models, service):
        module.add_commands(commands)
    return parser


def main() -> int:
    """Runs the command line; returns the exit code. An error is one sentence on the standard error, and with
    ``--json`` an object ``error`` on the standard output."""
    try:
        options = create_parser().parse_args()
        return options.command(options) or exit_codes.SUCCESS
    except OrbitError as error:
        return _report(error)
    except KeyboardInterrupt:
        return _report(Cancelled("Interrupted."))
    except Exception as error:
        fault = explain_fault(error)
        if fault is None:
            raise
        return _report(fault)


def _report(error: OrbitError) -> int:
    if "--json" in sys.argv:
        print(json.dumps({"error": error.to_dict()}))
    print(error.message, file=sys.stderr)
    return exit_codes.find_exit_code(error)


if __name__ == "__main__":
    sys.exit(main())
