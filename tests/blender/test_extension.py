"""The zip in a Blender that has nothing else: built, validated, installed, enabled, with the wheels that it carries."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from installer import extension
from installer.blenders import Blender

INSTALL = """
import json, os, sys, threading
import bpy
bpy.ops.extensions.package_install_files(filepath=sys.argv[1], repo="user_default", enable_on_install=True)
import zmq
print(json.dumps({
    "zmq": [zmq.__version__, zmq.__file__],
    "threads": [thread.name for thread in threading.enumerate()],
    "torch": "torch" in sys.modules,
    "button": hasattr(bpy.types, "ORBIT_TEXTURE_OT_texture_selected"),
}), flush=True)
os._exit(0)
"""


@pytest.fixture
def package(tmp_path):
    beside_the_backend = Path(os.environ.get("BACKEND_PYTHON", tmp_path / "a" / "b" / "python")).parents[2]
    wheels = extension.download_wheels(beside_the_backend / "wheels")
    blender = Blender(Path(sys.executable), (0, 0, 0), module=True)
    tree = extension.stage(tmp_path / "tree", wheels)
    subprocess.run(blender.extension_command("build", "--source-dir", str(tree), "--output-dir", str(tmp_path)), check=True)
    package = next(tmp_path.glob("*.zip"))
    subprocess.run(blender.extension_command("validate", str(package)), check=True)
    return package


@pytest.mark.every_blender
def test_the_zip_installs_and_brings_its_own_pyzmq(package, tmp_path):
    done = subprocess.run([sys.executable, "-S", "-c", INSTALL, str(package)], capture_output=True, text=True, check=False,
                          env=os.environ | {"PYTHONPATH": str(_packages_without_pyzmq(tmp_path)),
                                            "BLENDER_USER_RESOURCES": str(tmp_path / "user")})
    assert done.returncode == 0, done.stdout + done.stderr
    facts = json.loads(done.stdout.splitlines()[-1])
    version, place = facts.pop("zmq")
    assert version == "26.4.0"
    assert Path(place).is_relative_to(tmp_path / "user")
    assert facts == {"threads": ["MainThread"], "torch": False, "button": True}


def _packages_without_pyzmq(tmp_path: Path) -> Path:
    """A folder like this Python's site-packages, in which ``import zmq`` fails."""
    import bpy
    folder = tmp_path / "packages"
    folder.mkdir()
    site_packages = next(parent for parent in Path(bpy.__file__).parents if parent.name == "site-packages")
    for entry in site_packages.iterdir():
        if not entry.name.startswith(("zmq", "pyzmq")):
            (folder / entry.name).symlink_to(entry)
    return folder
