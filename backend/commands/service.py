"""Commands of the server that Blender uses, of the installation, and the doctor."""

import argparse
from pathlib import Path

from ..api import paths


def add_commands(commands) -> None:
    """Adds the parsers of these commands."""
    add_doctor(commands)
    add_compile(commands)
    add_serve(commands)
    add_stop(commands)
    add_worker(commands)


def add_doctor(commands) -> None:
    parser = commands.add_parser("doctor", help="report what is installed, what is missing and how to fix it")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.set_defaults(command=doctor)


def doctor(options: argparse.Namespace) -> int:
    from ..doctor import main

    return main(options.json)


def add_compile(commands) -> None:
    parser = commands.add_parser(
        "compile", help="compile what the first job would have to compile; install.py does this"
    )
    parser.set_defaults(command=compile_kernels)


def compile_kernels(options: argparse.Namespace) -> None:
    from ..compile_kernels import compile_kernels

    print("Compiled." if compile_kernels() else "Everything is compiled already.")


def add_serve(commands) -> None:
    parser = commands.add_parser("serve", help="run the server that accepts jobs from Blender")
    parser.add_argument(
        "--run-dir", type=Path, default=paths.run_directory(), help="folder of its files (%(default)s)"
    )
    parser.add_argument(
        "--idle-seconds",
        type=float,
        default=600.0,
        help="exit after this many seconds without clients and jobs (%(default)s)",
    )
    parser.add_argument(
        "--silence-seconds",
        type=float,
        default=600.0,
        help="replace a worker that says and does nothing for this many seconds (%(default)s)",
    )
    add_pipeline(parser)
    parser.add_argument("--replace", action="store_true", help="first stop the server that runs there")
    parser.set_defaults(command=serve)


def serve(options: argparse.Namespace) -> None:
    from ..service.server import serve

    serve(
        options.run_dir.resolve(),
        options.idle_seconds,
        options.pipeline,
        options.replace,
        options.silence_seconds,
    )


def add_stop(commands) -> None:
    parser = commands.add_parser("stop", help="stop the running server; the next server continues its jobs")
    parser.set_defaults(command=stop)


def stop(options: argparse.Namespace) -> None:
    from ..service.server import stop_running_server

    stop_running_server(paths.run_directory())


def add_worker(commands) -> None:
    parser = commands.add_parser("worker", help="internal: started by 'serve'")
    add_pipeline(parser)
    parser.set_defaults(command=worker)


def worker(options: argparse.Namespace) -> None:
    from ..service.worker import main

    main(options.pipeline)


def add_pipeline(parser: argparse.ArgumentParser) -> None:
    """Adds the option that lets tests replace the pipeline."""
    parser.add_argument(
        "--pipeline", default="backend.pipeline:run", help="the texturing function, as module:function"
    )
