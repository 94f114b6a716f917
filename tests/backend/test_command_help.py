"""Every command says what its options are if they are not given."""

import argparse
import subprocess
import sys

import pytest

from backend.api import paths
from backend.api.command_help import DefaultsHelpFormatter, describe_default
from backend.api.settings import Settings


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            ["-m", "backend", "texture", "--help"],
            ["--texture-size", f"(default: {Settings().texture_size})", "(default: draft)", "(default: go)"],
        ),
        (["-m", "backend", "serve", "--help"], ["600.0"]),
        (["install.py", "demo", "--help"], ["out/demo", "(default: auto)"]),
    ],
)
def test_help_has_the_defaults(command, said):
    done = subprocess.run(
        [sys.executable, *command], cwd=paths.ROOT, capture_output=True, text=True, check=True
    )
    text = " ".join(done.stdout.split())
    assert all(part in text for part in said), text
    assert "(default: None)" not in text
    assert "(default: False)" not in text


def test_a_default_is_said_once_and_only_if_it_is_something():
    parser = argparse.ArgumentParser(formatter_class=DefaultsHelpFormatter)
    parser.add_argument("--said", default=3, help="a number (%(default)s)")
    parser.add_argument("--added", default=4, help="a number")
    parser.add_argument("--nothing", help="a name")
    parser.add_argument("--flag", action="store_true", help="a switch")
    text = parser.format_help()
    assert "a number (3)\n" in text
    assert "a number (default: 4)\n" in text
    assert text.count("default") == 1
    assert describe_default("A size", 2048) == "A size (default: 2048)"
    assert describe_default("A name", None) == "A name"
