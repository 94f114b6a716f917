"""The command line of the backend."""

import argparse
import sys
from pathlib import Path

from .api import paths
from .api.errors import OrbitError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m backend")
    commands = parser.add_subparsers(required=True)
    add_serve(commands)
    add_worker(commands)
    options = parser.parse_args()
    try:
        options.command(options)
    except OrbitError as error:
        print(error.message, file=sys.stderr)
        return 2
    return 0


def add_serve(commands) -> None:
    parser = commands.add_parser("serve", help="take jobs from Blender")
    parser.add_argument("--run-dir", type=Path, default=paths.run_directory())
    parser.add_argument("--idle-seconds", type=float, default=600.0, help="end after this long without clients and work")
    parser.add_argument("--pipeline", default="backend.pipeline:run", help="module:function that textures")
    parser.add_argument("--replace", action="store_true", help="end the server that runs there now")
    parser.set_defaults(command=serve)


def add_worker(commands) -> None:
    parser = commands.add_parser("worker", help="started by serve, not by hand")
    parser.add_argument("--pipeline", default="backend.pipeline:run", help="module:function that textures")
    parser.set_defaults(command=worker)


def serve(options: argparse.Namespace) -> None:
    from .service.server import serve

    serve(options.run_dir.resolve(), options.idle_seconds, options.pipeline, options.replace)


def worker(options: argparse.Namespace) -> None:
    from .service.worker import main

    main(options.pipeline)


if __name__ == "__main__":
    sys.exit(main())
