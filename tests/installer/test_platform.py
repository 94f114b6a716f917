"""The rules of Blender's extension platform that its own tool does not check, or checks only where there is a
Blender."""

import ast
import re
import tomllib

import pytest

from backend.api import paths
from installer import extension

MANIFEST = tomllib.loads((paths.ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
IN_BLENDER = [
    paths.ROOT / "__init__.py",
    *(file for folder in ("addon", "backend/api") for file in sorted((paths.ROOT / folder).rglob("*.py"))),
]
"""What Blender's Python runs."""


@pytest.mark.parametrize("text", [MANIFEST["tagline"], *MANIFEST["permissions"].values()])
def test_the_tagline_and_the_reasons_for_permissions_are_short_and_end_without_punctuation(text):
    assert len(text) <= 64
    assert text == text.strip()
    assert text[-1].isalnum() or text[-1] in ")]"


def test_only_permissions_that_are_used_are_asked_for():
    assert set(MANIFEST["permissions"]) == {"files", "network"}


def test_the_name_is_our_own():
    assert "blender" not in (MANIFEST["name"] + MANIFEST["id"]).lower()


def test_the_licence_is_the_gpl_and_its_text_travels_along():
    assert MANIFEST["license"] == ["SPDX:GPL-3.0-or-later"]
    assert "LICENSE" in extension.PACKAGED_PATHS


@pytest.mark.parametrize("file", IN_BLENDER, ids=lambda file: str(file.relative_to(paths.ROOT)))
def test_code_that_blender_runs_uses_no_pip_and_leaves_the_import_system_alone(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    attributes = {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    strings = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert not attributes & {"sys.path", "sys.modules", "sys.meta_path", "site.addsitedir"}
    assert not {"pip", "ensurepip"} & (strings | imported(tree))


def imported(tree: ast.AST) -> set[str]:
    """The first words of everything that is imported by its full name."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


def test_the_add_on_imports_its_own_parts_by_relative_names():
    absolute = [
        str(file)
        for file in IN_BLENDER
        if {"addon", "backend", "installer", "orbit_texture"}
        & imported(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert absolute == []


def test_every_platform_and_python_of_the_manifest_has_its_wheel():
    named = {re.sub(r"-.*", "", platform) for platform in MANIFEST["platforms"]}
    assert named == set(extension.PLATFORMS)
