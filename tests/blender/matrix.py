"""Textures real meshes in every supported Blender. Too slow for the test suite (about 1 min per cell), so it
is run by hand before a release.

    python3 tests/blender/matrix.py --assets FOLDER_OF_OBJ_FILES [--only spot cube] [--versions 5.0.1]

Each mesh is rendered with the demo's material; then the bare mesh is textured from that render, in each
Blender that ``install.py test`` uses. A row has the outcome, the seconds of the job, the PSNR of the textured
mesh against the render, and how many pixels of 24 views are black or show the render's background.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from installer import backend, blenders  # noqa: E402

BUILT_IN = ("triangle", "cube", "suzanne", "million")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--assets", type=Path, help="folder with .obj files, searched with its subfolders")
    parser.add_argument(
        "--only", nargs="*", help=f"names of meshes: {', '.join(BUILT_IN)}, or those of the files"
    )
    parser.add_argument(
        "--versions", nargs="*", default=list(blenders.MODULES), choices=list(blenders.MODULES)
    )
    options = parser.parse_args()
    meshes = (
        [*BUILT_IN, *(str(path) for path in sorted(options.assets.rglob("*.obj")))]
        if options.assets
        else list(BUILT_IN)
    )
    if options.only:
        meshes = [mesh for mesh in meshes if Path(mesh).stem in options.only]
    backend.install()
    print(
        "| Blender | mesh | triangles | state | seconds | PSNR dB | black | background "
        "|\n|---|---|---|---|---|---|---|---|"
    )
    succeeded = True
    for version in options.versions:
        if python := blenders.find_python(blenders.MODULES[version]):
            blender = blenders.install_module(version, python)
            succeeded = all([_run_cell(blender, version, mesh) for mesh in meshes]) and succeeded
    return 0 if succeeded else 1


def _run_cell(blender: blenders.Blender, version: str, mesh: str) -> bool:
    with tempfile.TemporaryDirectory() as scratch:
        extensions = Path(scratch) / "extensions" / "user_default"
        extensions.mkdir(parents=True)
        (extensions / "orbit_texture").symlink_to(ROOT, target_is_directory=True)
        command = blender.script_command(Path(__file__).with_name("matrix_cell.py"), [mesh, scratch])
        done = subprocess.run(
            command,
            env=os.environ | {"BLENDER_USER_RESOURCES": scratch},
            capture_output=True,
            text=True,
            check=False,
        )
        try:
            cell = json.loads((Path(scratch) / "cell.json").read_text(encoding="utf-8"))
        except OSError:
            cell = {
                "state": done.stderr.strip().splitlines()[-1]
                if done.stderr.strip()
                else f"ended with {done.returncode}"
            }
    columns = (
        cell.get(name, "") for name in ("triangles", "state", "seconds", "psnr", "black", "background")
    )
    print(f"| {version} | {Path(mesh).stem} | " + " | ".join(map(str, columns)) + " |", flush=True)
    return cell["state"] == "finished"


if __name__ == "__main__":
    sys.exit(main())
