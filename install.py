#!/usr/bin/env python3
"""Installs, shows and tests Orbit Texture: ``python3 install.py
{demo,test,backend,addon,repository,doctor}``.

It also runs the commands of the backend: texture, check, render, paint, bake, refine, download, licences,
embed, convert and train. ``python3 install.py texture --help`` explains one.

Everything is installed into one private folder, which ``install.py doctor`` names; the Python of the system
and of Blender are not changed. Every command can be repeated: it does only what is missing.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)

if not OLDEST <= sys.version_info[:2] <= NEWEST:
    python = "py -3.11" if sys.platform == "win32" else "python3.11"
    sys.exit(
        f"This is Python {sys.version.split()[0]}, and Orbit Texture needs Python 3.11, 3.12 or 3.13. "
        "Install one of them (from python.org or your system's packages) and run it by its name: "
        f'{python} "{__file__}" {" ".join(sys.argv[1:])}'
    )

from backend.api import paths  # noqa: E402
from backend.api.command_help import DefaultsHelpFormatter  # noqa: E402
from backend.api.shell_commands import BACKEND_COMMANDS, install_command  # noqa: E402
from backend.api.torch_builds import DISK_GIGABYTES  # noqa: E402
from installer import backend, blenders, extension, health, suite  # noqa: E402
from installer.environment import InstallError, print_status  # noqa: E402


def install_backend(options: argparse.Namespace) -> int:
    if options.remove:
        backend.remove()
    else:
        backend.install(options.torch, reinstall=options.anew)
    return 0


def install_addon(options: argparse.Namespace) -> int:
    blender = blenders.find_blender(options.blender)
    if blender is None:
        raise InstallError(
            "No Blender was found on the PATH or in the usual folders. Give its path: "
            f"{install_command('addon', '--blender', 'PATH')}"
        )
    extension.install(blender, extension.build(blender, options.output))
    if backend.find_state() != "complete":
        print_status(f"The backend is not installed yet. Run: {install_command('backend')}")
    return 0


def make_repository(options: argparse.Namespace) -> int:
    blender = blenders.find_blender(options.blender) or blenders.newest_module()
    extension.build(blender, options.output)
    extension.build_repository_index(blender, options.output)
    return 0


def demo(options: argparse.Namespace) -> int:
    script = paths.ROOT / "docs" / "examples" / "demo.py"
    if not script.exists():
        raise InstallError("The demo is not part of the installed add-on. Run it from the source tree.")
    backend.install(options.torch)
    blender = blenders.find_blender(options.blender) or blenders.newest_module()
    print_status(f"Running the demo in {blender}")
    package = extension.build(blender, paths.home() / "build")
    profile = paths.home() / "demo-profile"
    profile.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"BLENDER_USER_RESOURCES": str(profile)}
    command = blender.script_command(
        script, ["--addon", str(package), "--output", str(options.output.resolve())]
    )
    return subprocess.run(command, env=environment, check=False).returncode


def test(options: argparse.Namespace) -> int:
    return suite.run(options.rest)


def doctor(options: argparse.Namespace) -> int:
    return health.run_doctor(as_json=options.json)


def run_in_backend(options: argparse.Namespace) -> int:
    """Runs a command of ``python -m backend``, in the folder of the user."""
    python = paths.environment_python(paths.backend_environment())
    if not python.exists():
        raise InstallError(f"The backend is not installed yet. Run: {install_command('backend')}")
    environment = os.environ | {"PYTHONPATH": str(paths.ROOT)}
    command = [str(python), "-s", "-P", "-m", "backend", options.command, *options.rest]
    return subprocess.run(command, env=environment, check=False).returncode


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of the command line, with ``run``, the function of the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def command(name: str, run, text: str) -> argparse.ArgumentParser:
        entry = commands.add_parser(name, help=text, description=text, formatter_class=DefaultsHelpFormatter)
        entry.set_defaults(run=run)
        return entry

    # The commands, from the most to the least used.
    entry = command("demo", demo, "Install what is missing and texture Suzanne from one image")
    entry.add_argument("--output", type=Path, default=Path("out/demo"), help="output folder")
    _add_torch(entry)
    _add_blender(entry)
    command(
        "test",
        test,
        "Install what is missing and run the whole test suite; other arguments are passed to pytest",
    )
    entry = command("backend", install_backend, "Install the backend's private environment")
    _add_torch(entry)
    how = entry.add_mutually_exclusive_group()
    how.add_argument(
        "--anew",
        action="store_true",
        help="delete the existing environment first, in case its files are damaged",
    )
    how.add_argument("--remove", action="store_true", help="remove the environment; models and jobs are kept")
    entry = command("addon", install_addon, "Build the add-on's zip, install and enable it in Blender")
    entry.add_argument(
        "--output", type=Path, default=paths.home() / "build", help="folder for the zip (%(default)s)"
    )
    _add_blender(entry)
    entry = command(
        "repository",
        make_repository,
        "Create a folder that a web server can offer to Blender as an extension repository",
    )
    entry.add_argument(
        "--output", type=Path, default=Path("out/repository"), help="output folder (%(default)s)"
    )
    _add_blender(entry)
    entry = command("doctor", doctor, "Report what is installed, what is missing and how to fix it")
    entry.add_argument("--json", action="store_true", help="print the findings as JSON")
    # The backend explains its commands itself.
    for name in BACKEND_COMMANDS:
        commands.add_parser(name, add_help=False).set_defaults(run=run_in_backend)
    # Only pytest and the backend take further arguments.
    options, options.rest = parser.parse_known_args(arguments)
    if options.rest and options.run not in (test, run_in_backend):
        parser.error(f"unknown arguments: {' '.join(options.rest)}")
    return options


def _add_torch(entry: argparse.ArgumentParser) -> None:
    entry.add_argument(
        "--torch",
        choices=("auto", *DISK_GIGABYTES),
        default="auto",
        help="the torch build (auto: the best for this machine)",
    )


def _add_blender(entry: argparse.ArgumentParser) -> None:
    entry.add_argument(
        "--blender",
        default="",
        metavar="PATH",
        help="the Blender program to use (default: the newest that is found)",
    )


def main() -> int:
    options = parse_arguments()
    try:
        return options.run(options)
    except InstallError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Run the same command again to continue.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
