"""The rules of Blender's extension platform that its own tool does not check, or checks only with a
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
"""The files that Blender's Python runs."""


@pytest.mark.parametrize("text", [MANIFEST["tagline"], *MANIFEST["permissions"].values()])
def test_tagline_and_permissions_are_short_and_end_without_punctuation(text):
    assert len(text) <= 64
    assert text == text.strip()
    assert text[-1].isalnum() or text[-1] in ")]"


def test_the_manifest_asks_only_for_the_permissions_that_are_used():
    assert set(MANIFEST["permissions"]) == {"files", "network"}


def test_the_extensions_name_does_not_contain_blender():
    assert "blender" not in (MANIFEST["name"] + MANIFEST["id"]).lower()


def test_the_licence_is_the_gpl_and_its_text_is_in_the_zip():
    assert MANIFEST["license"] == ["SPDX:GPL-3.0-or-later"]
    assert "LICENSE" in extension.PACKAGED_PATHS


@pytest.mark.parametrize("file", IN_BLENDER, ids=lambda file: str(file.relative_to(paths.ROOT)))
def test_code_in_blender_uses_no_pip_and_does_not_change_the_import_system(file):
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
    assert not {"pip", "ensurepip"} & (strings | find_imports(tree))


def find_imports(tree: ast.AST) -> set[str]:
    """The top-level packages of all absolute imports."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


def test_the_add_on_imports_its_own_modules_by_relative_names():
    absolute = [
        str(file)
        for file in IN_BLENDER
        if {"addon", "backend", "installer", "orbit_texture"}
        & find_imports(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert absolute == []


def test_every_platform_and_python_of_the_manifest_has_its_wheel():
    named = {re.sub(r"-.*", "", platform) for platform in MANIFEST["platforms"]}
    assert named == set(extension.PLATFORMS)
