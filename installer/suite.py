"""The whole test suite: ruff, the backend's tests, then the add-on's tests in every available Blender."""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from backend.api import paths

from . import backend, blenders
from .environment import print_status

FULL_SUITE_BLENDER = "5.0.1"
"""The Blender that runs all of tests/blender; the others run only the tests marked ``every_blender``."""

NO_TESTS_SELECTED = 5  # pytest's exit status


@dataclass
class Totals:
    """The numbers of tests."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed" + (
            f", {self.skipped} skipped" if self.skipped else ""
        )


def run(arguments: list[str]) -> int:
    """Runs all tests and prints the totals. Returns the exit status: 0 only if nothing failed.

    Args:
        arguments: added to every run of pytest, such as ``["-k", "cancel"]``.
    """
    interpreter = backend.install(tests=True)
    totals = Totals()
    print_status("\n== ruff")
    totals.failed += (
        subprocess.run([str(interpreter), "-m", "ruff", "check", "."], cwd=paths.ROOT, check=False).returncode
        != 0
    )
    _run_pytest("backend", interpreter, ["tests", "--ignore=tests/blender", *arguments], totals, interpreter)
    for version, wanted in sorted(blenders.MODULES.items(), key=lambda item: item[0] != FULL_SUITE_BLENDER):
        python = blenders.find_python(wanted)
        if python is None:
            print_status(
                f"\n== Blender {version}: skipped, because there is no Python {wanted} on this machine"
            )
            totals.skipped += 1
            continue
        blender = blenders.install_module(version, python)
        backend.add_test_packages(blender.program)
        selection = [] if version == FULL_SUITE_BLENDER else ["-m", "every_blender"]
        _run_pytest(
            f"Blender {version}",
            blender.program,
            ["tests/blender", *selection, *arguments],
            totals,
            interpreter,
        )
    print_status(f"\n{totals}")
    return 1 if totals.failed or not totals.passed else 0


def _run_pytest(title: str, python: Path, arguments: list[str], totals: Totals, backend_python: Path) -> None:
    """Runs pytest once and adds to the totals. A run that ends without a report crashed, and counts as one
    failure."""
    print_status(f"\n== {title}")
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        command = [
            str(python),
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--junitxml={report}",
            *arguments,
        ]
        environment = os.environ | {"BACKEND_PYTHON": str(backend_python), "PYTHONDONTWRITEBYTECODE": "1"}
        status = subprocess.run(command, cwd=paths.ROOT, env=environment, check=False).returncode
        before = totals.failed
        if report.exists():
            _add_counts(report, totals)
        if status not in (0, NO_TESTS_SELECTED) and totals.failed == before:
            print(f"pytest ended with status {status} and reported no failure.", file=sys.stderr)
            totals.failed += 1


def _add_counts(report: Path, totals: Totals) -> None:
    for entry in ElementTree.parse(report).getroot().iter("testsuite"):
        tests, bad, skipped = (
            sum(int(entry.get(name, 0)) for name in names)
            for names in (("tests",), ("failures", "errors"), ("skipped",))
        )
        totals.passed += tests - bad - skipped
        totals.failed += bad
        totals.skipped += skipped
