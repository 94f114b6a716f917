"""Builds the add-on as Blender installs it: one zip with the source tree and the wheels that it needs."""

import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from backend.api import paths

from .blenders import Blender
from .environment import InstallError, ensure_environment, print_status, run_pip

ID = "orbit_texture"
"""The extension's id."""

PACKAGED_PATHS = (
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
"""The files and folders that go into the zip."""

ABIS = {"3.11": "cp311", "3.12": "abi3"}
"""The ABI of the wheels for each oldest Python version. The stable ABI, abi3, also fits every newer
Python."""

STABLE_ABI_PYTHONS = "cp312.cp313.cp314"
"""The Python versions in the name of the stable ABI's wheel, see :func:`blender_wheel_name`."""

PLATFORMS = {"linux": "manylinux_2_28_x86_64", "windows": "win_amd64", "macos": "macosx_10_15_universal2"}
"""The wheels' platform tag for each platform of the manifest."""


def build(blender: Blender, output: Path) -> Path:
    """Builds and validates the zip with Blender's own tool.

    Args:
        blender: the Blender whose tool is used.
        output: the folder for the zip.

    Returns:
        The zip, ``orbit_texture-<version>.zip``.
    """
    wheels = download_wheels(paths.home() / "wheels")
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        tree = assemble_tree(Path(scratch) / ID, wheels)
        _run(blender.extension_command("build", "--source-dir", str(tree), "--output-dir", str(output)))
    package = output / f"{ID}-{paths.VERSION}.zip"
    _run(blender.extension_command("validate", str(package)))
    print_status(f"Add-on: {package} ({package.stat().st_size / 1e6:.1f} MB)")
    return package


def install(blender: Blender, package: Path) -> None:
    """Installs the zip into the user's Blender and enables it."""
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
    print_status(
        f"Installed and enabled in {blender}. In the 3D View press N and open the tab Orbit Texture."
    )


def build_repository_index(blender: Blender, folder: Path) -> Path:
    """Turns a folder of zips into a static extension repository for any web server, with Blender's own tool.

    Returns:
        The ``index.json`` that Blender reads; the folder also has an ``index.html`` for browsers.
    """
    _run(blender.extension_command("server-generate", "--repo-dir", str(folder), "--html"))
    print_status(
        f"Repository: {folder}. Put the folder on a web server; users add the address of its index.json in "
        "Blender, under Edit > Preferences > Get Extensions > Repositories > + > Add Remote Repository."
    )
    return folder / "index.json"


def assemble_tree(tree: Path, wheels: list[Path]) -> Path:
    """Copies what belongs into the zip to ``tree``, and lists the wheels in its manifest.

    The checkout's manifest lists none, since Blender rejects a tree whose wheels are missing, and a
    developer's Blender that is linked to the checkout must accept it.
    """
    tree.mkdir(parents=True)
    for name in PACKAGED_PATHS:
        source = paths.ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copyfile(source, tree / name)
    (tree / "wheels").mkdir()
    names = [blender_wheel_name(wheel.name) for wheel in wheels]
    for wheel, name in zip(wheels, names, strict=True):
        shutil.copyfile(wheel, tree / "wheels" / name)
    manifest = tree / "blender_manifest.toml"
    manifest.write_text(add_wheels(manifest.read_text(encoding="utf-8"), names), encoding="utf-8")
    return tree


def blender_wheel_name(wheel: str) -> str:
    """A wheel's file name in the zip: abi3 is replaced by the list of Python versions.

    Blender decides by the names alone, and ignores abi3 as soon as another wheel names a minor version: it
    would reject a zip with cp311 and abi3 on every Python but 3.11.
    """
    return wheel.replace("-cp312-abi3-", f"-{STABLE_ABI_PYTHONS}-{STABLE_ABI_PYTHONS}-")


def add_wheels(manifest: str, names: list[str]) -> str:
    """The text of the manifest with a ``wheels`` entry before its first table."""
    entry = "wheels = [\n" + "".join(f'  "./wheels/{name}",\n' for name in sorted(names)) + "]\n\n"
    return re.sub(r"^(?=\[)|\Z", entry, manifest, count=1, flags=re.MULTILINE)


def download_wheels(folder: Path) -> list[Path]:
    """Downloads the pinned wheels for every ABI and platform of Blender, unless the folder has them.

    Raises:
        InstallError: there is no network, or a file's hash is not in the lock file.
    """
    # Every wheel whose hash is in the lock file counts, whatever its name.
    lock = paths.ROOT / "requirements" / "addon.txt"
    hashes = set(re.findall(r"sha256:([0-9a-f]{64})", lock.read_text(encoding="utf-8")))
    wanted = len(ABIS) * len(PLATFORMS)
    found = _find_wheels(folder, hashes)
    # One download per ABI and platform, with the pip of a private environment.
    if len(found) < wanted:
        print_status("Downloading the wheels for the add-on")
        interpreter = ensure_environment(paths.home() / "tools", ())
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
        found = _find_wheels(folder, hashes)
    if len(found) != wanted:
        raise InstallError(
            f"{folder} contains {len(found)} of the {wanted} wheels that requirements/addon.txt pins. Delete "
            "the folder and run the same command again."
        )
    return found


def _find_wheels(folder: Path, hashes: set[str]) -> list[Path]:
    """The wheels in a folder that have one of the SHA-256 hashes."""
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
        raise InstallError(f"{done.stdout[-2000:]}\nBlender's tool failed: {' '.join(command[:6])}")
