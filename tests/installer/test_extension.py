"""The content of the add-on's zip."""

import re
import tomllib

from backend.api import paths
from installer import extension

WHEEL_NAMES = [
    "pyzmq-27.3.0-cp312.cp313.cp314-cp312.cp313.cp314-win_amd64.whl",
    "pyzmq-27.3.0-cp311-cp311-win_amd64.whl",
]


def read_manifest() -> str:
    return (paths.ROOT / "blender_manifest.toml").read_text(encoding="utf-8")


def test_the_checkouts_manifest_names_no_wheels():
    assert "wheels" not in tomllib.loads(read_manifest())


def test_the_zips_manifest_is_the_checkouts_with_the_wheels_added():
    changed = tomllib.loads(extension.add_wheels(read_manifest(), WHEEL_NAMES))
    assert changed.pop("wheels") == ["./wheels/" + name for name in sorted(WHEEL_NAMES)]
    assert changed == tomllib.loads(read_manifest())


def test_the_wheels_are_added_to_a_manifest_without_tables():
    assert tomllib.loads(extension.add_wheels('id = "x"\n', WHEEL_NAMES))["wheels"]


def test_the_zip_contains_the_packaged_paths_and_nothing_else(tmp_path):
    wheel = tmp_path / WHEEL_NAMES[1]
    wheel.write_bytes(b"a wheel")
    tree = extension.assemble_tree(tmp_path / "tree", [wheel])
    assert {entry.name for entry in tree.iterdir()} == {*extension.PACKAGED_PATHS, "wheels"}
    assert (tree / "wheels" / WHEEL_NAMES[1]).read_bytes() == b"a wheel"
    assert not [path for path in tree.rglob("*") if path.name == "__pycache__" or path.name.startswith(".")]


def test_a_wheel_of_the_stable_abi_is_named_after_its_python_versions(tmp_path):
    wheel = tmp_path / "pyzmq-27.3.0-cp312-abi3-win_amd64.whl"
    wheel.write_bytes(b"a wheel")
    tree = extension.assemble_tree(tmp_path / "tree", [wheel])
    assert tomllib.loads((tree / "blender_manifest.toml").read_text(encoding="utf-8"))["wheels"] == [
        "./wheels/" + WHEEL_NAMES[0]
    ]
    assert (tree / "wheels" / WHEEL_NAMES[0]).read_bytes() == b"a wheel"


def test_every_pinned_package_has_a_hash():
    for lock in (paths.ROOT / "requirements").glob("*.txt"):
        packages = re.findall(r"^([a-z0-9-]+)==.*\n(.*)", lock.read_text(encoding="utf-8"), re.MULTILINE)
        assert packages
        assert [name for name, following in packages if "--hash=sha256:" not in following] == [], lock.name


def test_every_requirement_is_in_its_lock_file():
    for wanted in (paths.ROOT / "requirements").glob("*.in"):
        lock = wanted.with_suffix(".txt").read_text(encoding="utf-8")
        for package in re.findall(
            r"^([A-Za-z0-9_-]+==[^\s;]+)", wanted.read_text(encoding="utf-8"), re.MULTILINE
        ):
            assert package.lower().replace("_", "-") in lock, f"{package} of {wanted.name} is not in its lock"


def test_the_license_file_is_the_whole_text_of_the_gpl():
    text = (paths.ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 3, 29 June 2007" in text
    assert "How to Apply These Terms to Your New Programs" in text
