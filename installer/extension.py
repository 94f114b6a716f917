"""The add-on as Blender takes it: one zip with the whole tree and the wheels that it needs inside Blender."""

import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from backend.api import paths

from .blenders import Blender
from .environment import Problem, ensure, run_pip, say

ID = "orbit_texture"
PARTS = (
    "__init__.py",
    "blender_manifest.toml",
    "install.py",
    "LICENSE",
    "README.md",
    "addon",
    "backend",
    "installer",
    "requirements",
)
ABIS = {"3.11": "cp311", "3.12": "abi3"}
"""The wheels that the zip carries: an oldest Python and an ABI. The stable one, abi3, fits every newer Python
too."""

STABLE = "cp312.cp313.cp314"
"""The Pythons for which Blender is told that the wheel of the stable ABI fits."""

PLATFORMS = {"linux": "manylinux_2_28_x86_64", "windows": "win_amd64", "macos": "macosx_10_15_universal2"}


def build(blender: Blender, output: Path) -> Path:
    """Builds and validates the zip with Blender's own tool.

    Args:
        blender: whose tool.
        output: the folder for the zip.

    Returns:
        The zip, ``orbit_texture-<version>.zip``.
    """
    wheels = download_wheels(paths.home() / "wheels")
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        tree = stage(Path(scratch) / ID, wheels)
        _run(blender.extension_command("build", "--source-dir", str(tree), "--output-dir", str(output)))
    package = output / f"{ID}-{paths.VERSION}.zip"
    _run(blender.extension_command("validate", str(package)))
    say(f"Add-on: {package} ({package.stat().st_size / 1e6:.1f} MB)")
    return package


def install(blender: Blender, package: Path) -> None:
    """Installs the zip into a Blender of the user and enables it there."""
    _run(
        [
            str(blender.program),
            "--command",
            "extension",
            "install-file",
            "--repo",
            "user_default",
            "--enable",
            str(package),
        ]
    )
    say(f"Installed and enabled in {blender}. In the 3D view press N and open the tab Orbit Texture.")


def index(blender: Blender, folder: Path) -> Path:
    """Makes a folder of zips a static extension repository, with Blender's own tool: any web server can offer
    it as it is.

    Returns:
        The ``index.json`` that Blender reads; beside it lies an ``index.html`` for people.
    """
    _run(blender.extension_command("server-generate", "--repo-dir", str(folder), "--html"))
    say(
        f"Repository: {folder}. Put the folder on a web server; users add the address of its index.json in "
        "Blender, under Edit > Preferences > Get Extensions > Repositories > + > Add Remote Repository."
    )
    return folder / "index.json"


def stage(tree: Path, wheels: list[Path]) -> Path:
    """Copies what belongs into the zip and names the wheels in the manifest.

    The checkout's manifest names none, because it holds none: Blender refuses a tree whose wheels are
    missing, and a developer's Blender that is linked to the checkout must accept it.
    """
    tree.mkdir(parents=True)
    for name in PARTS:
        source = paths.ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copyfile(source, tree / name)
    (tree / "wheels").mkdir()
    names = [name_for_blender(wheel.name) for wheel in wheels]
    for wheel, name in zip(wheels, names, strict=True):
        shutil.copyfile(wheel, tree / "wheels" / name)
    manifest = tree / "blender_manifest.toml"
    manifest.write_text(with_wheels(manifest.read_text(encoding="utf-8"), names), encoding="utf-8")
    return tree


def name_for_blender(wheel: str) -> str:
    """A wheel's file name with its Pythons spelled out in place of abi3; every other name as it is.

    Blender goes by the names alone, and disregards abi3 as soon as another wheel names a minor version: it
    would refuse a zip with cp311 and abi3 on every Python but 3.11.
    """
    return wheel.replace("-cp312-abi3-", f"-{STABLE}-{STABLE}-")


def with_wheels(manifest: str, names: list[str]) -> str:
    """The manifest's text with a ``wheels`` entry before its first table."""
    entry = "wheels = [\n" + "".join(f'  "./wheels/{name}",\n' for name in sorted(names)) + "]\n\n"
    return re.sub(r"^(?=\[)|\Z", entry, manifest, count=1, flags=re.MULTILINE)


def download_wheels(folder: Path) -> list[Path]:
    """The pinned wheels for every ABI and platform of Blender, downloaded where the folder lacks them.

    Raises:
        Problem: no network, or a file whose hash is not in the lock.
    """
    lock = paths.ROOT / "requirements" / "addon.txt"
    hashes = set(re.findall(r"sha256:([0-9a-f]{64})", lock.read_text(encoding="utf-8")))
    wanted = len(ABIS) * len(PLATFORMS)
    found = _matching(folder, hashes)
    if len(found) < wanted:
        say("Downloading the wheels that the add-on carries")
        interpreter = ensure(paths.home() / "tools", ())
        for python, abi in ABIS.items():
            for platform in PLATFORMS.values():
                run_pip(
                    interpreter,
                    [
                        "download",
                        "--quiet",
                        "--no-deps",
                        "--only-binary=:all:",
                        "--dest",
                        str(folder),
                        "--python-version",
                        python,
                        "--implementation",
                        "cp",
                        "--abi",
                        abi,
                        "--platform",
                        platform,
                        "--require-hashes",
                        "-r",
                        str(lock),
                    ],
                )
        found = _matching(folder, hashes)
    if len(found) != wanted:
        raise Problem(
            f"{folder} holds {len(found)} of the {wanted} wheels that requirements/addon.txt pins. Delete "
            "the folder and run the same command again."
        )
    return found


def _matching(folder: Path, hashes: set[str]) -> list[Path]:
    return [
        wheel
        for wheel in sorted(folder.glob("*.whl"))
        if hashlib.sha256(wheel.read_bytes()).hexdigest() in hashes
    ]


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
    )
    if done.returncode:
        raise Problem(f"{done.stdout[-2000:]}\nBlender's tool refused: {' '.join(command[:6])}")
