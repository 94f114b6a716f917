#!/usr/bin/env python3
"""Installs, shows and tests Orbit Texture: ``python3 install.py
{demo,test,backend,addon,repository,doctor}``.

Everything goes into one private folder (``install.py doctor`` names it); neither the system's Python nor
Blender's is touched. Every command can be run again: it does what is missing and nothing twice.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)

if not OLDEST <= sys.version_info[:2] <= NEWEST:
    sys.exit(
        f"This is Python {sys.version.split()[0]}, and Orbit Texture needs Python 3.11, 3.12 or 3.13. "
        "Install one of them (python.org, or your system's packages) and run it by its name: python3.11 "
        "install.py"
    )

from backend.api import paths  # noqa: E402
from backend.api.torch_builds import DISK_GIGABYTES  # noqa: E402
from installer import backend, blenders, extension, health, suite  # noqa: E402
from installer.environment import Problem, say  # noqa: E402


def install_backend(options: argparse.Namespace) -> int:
    if options.remove:
        backend.remove()
    else:
        backend.install(options.torch, anew=options.anew)
    return 0


def install_addon(options: argparse.Namespace) -> int:
    blender = blenders.find(options.blender)
    if blender is None:
        raise Problem(
            "No Blender was found on the PATH or in the usual places. Name it: python3 install.py addon "
            "--blender PATH"
        )
    extension.install(blender, extension.build(blender, options.output))
    if backend.condition() != "complete":
        say("The backend is still to be installed: python3 install.py backend")
    return 0


def make_repository(options: argparse.Namespace) -> int:
    blender = blenders.find(options.blender) or blenders.newest_module()
    extension.build(blender, options.output)
    extension.index(blender, options.output)
    return 0


def demo(options: argparse.Namespace) -> int:
    script = paths.ROOT / "docs" / "examples" / "demo.py"
    if not script.exists():
        raise Problem("The demo is not part of the installed add-on. Run it from the source tree.")
    backend.install(options.torch)
    blender = blenders.find(options.blender) or blenders.newest_module()
    say(f"Running the demo in {blender}")
    package = extension.build(blender, paths.home() / "build")
    profile = paths.home() / "demo-profile"
    profile.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"BLENDER_USER_RESOURCES": str(profile)}
    command = blender.script_command(
        script, ["--addon", str(package), "--output", str(options.output.resolve())]
    )
    return subprocess.run(command, env=environment, check=False).returncode


def test(options: argparse.Namespace) -> int:
    return suite.run(options.pytest_arguments)


def doctor(options: argparse.Namespace) -> int:
    return health.report(as_json=options.json)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def command(name: str, run, text: str) -> argparse.ArgumentParser:
        entry = commands.add_parser(name, help=text, description=text)
        entry.set_defaults(run=run)
        return entry

    entry = command("demo", demo, "Install what is missing and texture Suzanne from one image")
    entry.add_argument(
        "--output", type=Path, default=Path("out/demo"), help="folder for what it makes (out/demo)"
    )
    _add_torch(entry)
    _add_blender(entry)
    command(
        "test", test, "Install what is missing and run the whole test suite; further arguments are for pytest"
    )
    entry = command("backend", install_backend, "Install the backend's private environment")
    _add_torch(entry)
    how = entry.add_mutually_exclusive_group()
    how.add_argument(
        "--anew", action="store_true", help="from scratch, in case files of the one that is there are broken"
    )
    how.add_argument("--remove", action="store_true", help="remove it; models and jobs stay")
    entry = command("addon", install_addon, "Build the add-on's zip, install and enable it in Blender")
    entry.add_argument(
        "--output", type=Path, default=paths.home() / "build", help="folder for the zip (%(default)s)"
    )
    _add_blender(entry)
    entry = command(
        "repository",
        make_repository,
        "Make a folder that a web server can offer to Blender as an extension repository",
    )
    entry.add_argument("--output", type=Path, default=Path("out/repository"), help="the folder (%(default)s)")
    _add_blender(entry)
    entry = command("doctor", doctor, "Say what is installed, what is missing and how to mend it")
    entry.add_argument("--json", action="store_true", help="as JSON")
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command != "test":
        parser.error(f"unknown arguments: {' '.join(rest)}")
    options.pytest_arguments = rest
    return options


def _add_torch(entry: argparse.ArgumentParser) -> None:
    entry.add_argument(
        "--torch",
        choices=("auto", *DISK_GIGABYTES),
        default="auto",
        help="the torch build (auto: what fits this machine)",
    )


def _add_blender(entry: argparse.ArgumentParser) -> None:
    entry.add_argument(
        "--blender", default="", metavar="PATH", help="Blender's program (the newest that is found)"
    )


def main() -> int:
    options = parse()
    try:
        return options.run(options)
    except Problem as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
