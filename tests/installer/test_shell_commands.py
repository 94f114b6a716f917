"""Every command that a message or a page tells the user to type runs as it stands."""

import ast
import re
import shlex
import subprocess
import sys

import pytest

import install
from backend.__main__ import create_parser
from backend.api import paths, shell_commands
from backend.api.shell_commands import BACKEND_COMMANDS, install_command, join_command
from backend.api.weights import MODELS

SOURCES = [
    paths.ROOT / "install.py",
    *(file for name in ("addon", "backend", "installer") for file in (paths.ROOT / name).rglob("*.py")),
]
PAGES = [*paths.ROOT.glob("*.md"), *(paths.ROOT / "docs").rglob("*.md")]
INTERNAL = {"doctor", "compile", "serve", "stop", "worker"}
"""The backend's commands that install.py has itself, or that no user types."""

TYPED = re.compile(r"^ {4}(?:python3? )(-m backend|install\.py) (.+?)(?: {2,}#.*)?$", re.MULTILINE)
INLINE = re.compile(r"`python3? (-m backend|install\.py) ([^`]+)`")


def parse(arguments: list[str]) -> None:
    """Parses the arguments of install.py as install.py and the backend do."""
    if install.parse_arguments(arguments).run == install.run_in_backend:
        create_parser().parse_args(arguments)


def find_strings(tree: ast.AST) -> list[str]:
    """All texts but those that stand by themselves, such as docstrings."""
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent
    ]


def find_told(tree: ast.AST) -> list[list[str]]:
    """The arguments of all calls of ``install_command``; a name of a model for what is no text."""
    return [
        [argument.value if isinstance(argument, ast.Constant) else "birefnet" for argument in node.args]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "install_command"
    ]


def test_install_passes_on_every_command_of_the_backend_that_a_user_types():
    choices = next(action.choices for action in create_parser()._actions if action.choices)
    assert set(BACKEND_COMMANDS) == set(choices) - INTERNAL


def test_the_commands_that_messages_tell_are_understood():
    told = [words for file in SOURCES for words in find_told(ast.parse(file.read_text(encoding="utf-8")))]
    assert len(told) > 8
    for words in told:
        parse(words)


def test_no_message_spells_a_command_itself():
    spelled = re.compile(
        r"install\.py [a-z]+ --|python3? install\.py|python3? -m backend [a-z]|[Rr]un: python"
    )
    for file in SOURCES:
        for text in find_strings(ast.parse(file.read_text(encoding="utf-8"))):
            assert not spelled.search(text), (file, text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_the_pages_are_understood(page):
    text = page.read_text(encoding="utf-8")
    for program, words in TYPED.findall(text) + INLINE.findall(text):
        if "…" in words or "|" in words or "{" in words or "NAME" in words:
            continue
        arguments = shlex.split(words)
        if arguments in [[name] for name in BACKEND_COMMANDS]:
            continue  # a name in a sentence
        if program == "install.py":
            parse(arguments)
        else:
            create_parser().parse_args(arguments)


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
@pytest.mark.parametrize("folder", ["plain", "it's a folder", "$HOME; ls"])
def test_a_told_command_runs_from_any_folder(tmp_path, monkeypatch, folder):
    link = tmp_path / folder
    link.symlink_to(paths.ROOT, target_is_directory=True)
    monkeypatch.setattr(paths, "ROOT", link)
    done = subprocess.run(
        install_command("download", "--help"),
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"ORBIT_TEXTURE_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        check=False,
    )
    # The tree was found and the Python runs it; there is no backend in this folder.
    assert "The backend is not installed yet" in done.stderr


def test_the_python_is_the_one_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("ORBIT_TEXTURE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    assert shlex.split(install_command("doctor"))[0] == sys.executable
    python = tmp_path / "python"
    python.touch()
    (tmp_path / "environment").mkdir()
    (tmp_path / "environment" / "pyvenv.cfg").write_text(f"executable = {python}\n", encoding="utf-8")
    assert shlex.split(install_command("doctor"))[0] == str(python)


@pytest.mark.parametrize(
    ("shell", "python", "line"),
    [
        ("posix", "/usr/bin/python3", "/usr/bin/python3 'a b/install.py' backend"),
        ("powershell", r"C:\Python311\python.exe", r"C:\Python311\python.exe 'a b/install.py' backend"),
        (
            "powershell",
            r"C:\Users\O'Neil $x\python.exe",
            r"& 'C:\Users\O''Neil $x\python.exe' 'a b/install.py' backend",
        ),
        ("cmd", r"C:\Program Files\python.exe", r'"C:\Program Files\python.exe" "a b/install.py" backend'),
    ],
)
def test_words_are_quoted_for_the_shell(shell, python, line):
    assert join_command([python, "a b/install.py", "backend"], shell) == line


def test_on_windows_the_shell_is_powershell_unless_cmd_has_set_its_prompt(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delenv("PROMPT", raising=False)
    assert shell_commands._find_shell() == "powershell"
    monkeypatch.setenv("PROMPT", "$P$G")
    assert shell_commands._find_shell() == "cmd"


def test_the_doctor_of_every_model_names_its_download():
    for name, spec in MODELS.items():
        assert shlex.split(spec.command)[-2:] == ["download", name]
