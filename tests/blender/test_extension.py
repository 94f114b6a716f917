"""Builds, validates, installs, enables and uses the extension's zip with its own wheels in an otherwise empty
Blender."""

import functools
import json
import os
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from installer import extension
from installer.blenders import Blender

FROM_DISK = """
bpy.ops.extensions.package_install_files(filepath=source, repo="user_default", enable_on_install=True)
"""

FROM_REPOSITORY = """
bpy.context.preferences.system.use_online_access = True
repos = bpy.context.preferences.extensions.repos
repos.new(name="Ours", module="ours", remote_url=source)
number = len(repos) - 1
bpy.ops.extensions.repo_sync(repo_index=number)
bpy.ops.extensions.package_install(repo_index=number, pkg_id="orbit_texture", enable_on_install=True)
"""

IMPORTS = """
import zmq
print(json.dumps({
    "zmq": [zmq.__version__, zmq.__file__],
    "threads": [thread.name for thread in threading.enumerate()],
    "torch": "torch" in sys.modules,
    "button": hasattr(bpy.types, "ORBIT_TEXTURE_OT_texture_selected"),
}), flush=True)
"""

WITHOUT_WHEELS = """
import shutil
wheels = Path(os.environ["BLENDER_USER_RESOURCES"]) / "extensions" / ".local"
assert list(wheels.rglob("zmq"))
shutil.rmtree(wheels)
"""

JOB = """
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
home = Path(sys.modules["bl_ext.user_default.orbit_texture"].__file__).parent
def files():
    return {str(file): file.stat().st_mtime_ns for file in home.rglob("*") if "__pycache__" not in file.parts}
before = files()
bpy.context.scene.orbit_texture.image = bpy.data.images.load(reference)
bpy.ops.mesh.primitive_cube_add(calc_uvs=False)
bpy.ops.orbit_texture.texture_selected()
until = time.monotonic() + 60
while queue.busy and time.monotonic() < until:
    queue.poll()
    time.sleep(0.02)
[entry] = queue.entries
print(json.dumps({"applied": entry.applied, "error": entry.error and entry.error.message,
                  "takes": len(bpy.context.object.orbit_texture.takes),
                  "own folder untouched": files() == before}),
      flush=True)
queue.close()
"""

pytestmark = pytest.mark.every_blender


@pytest.fixture(scope="module")
def blender():
    return Blender(Path(sys.executable), (0, 0, 0), module=True)


@pytest.fixture(scope="module")
def package(blender, tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    beside_the_backend = Path(os.environ.get("BACKEND_PYTHON", folder / "a" / "b" / "python")).parents[2]
    wheels = extension.download_wheels(beside_the_backend / "wheels")
    tree = extension.assemble_tree(folder / "tree", wheels)
    subprocess.run(
        blender.extension_command("build", "--source-dir", str(tree), "--output-dir", str(folder)), check=True
    )
    package = next(folder.glob("*.zip"))
    subprocess.run(blender.extension_command("validate", str(package)), check=True)
    return package


def test_the_zip_installs_with_its_own_pyzmq(package, tmp_path):
    [facts] = run_blender(FROM_DISK + IMPORTS, tmp_path, source=str(package))
    version, place = facts.pop("zmq")
    assert version == "27.3.0"
    assert Path(place).is_relative_to(tmp_path / "user")
    assert facts == {"threads": ["MainThread"], "torch": False, "button": True}


@pytest.mark.worker
def test_the_installed_zip_textures_an_object_and_does_not_write_to_itself(
    package, scripted_worker, tmp_path
):
    from tests.blender import make

    (tmp_path / "reference.png").write_bytes(make.png())
    [facts] = run_blender(
        FROM_DISK + JOB, tmp_path, source=str(package), reference=str(tmp_path / "reference.png")
    )
    assert facts == {"applied": True, "error": None, "takes": 1, "own folder untouched": True}


@pytest.mark.worker
@pytest.mark.parametrize("loaded", [True, False], ids=["as enabled", "a module not loaded"])
def test_an_open_window_works_on_or_explains_itself_without_its_wheels(
    package, scripted_worker, tmp_path, loaded
):
    """A second Blender of the same profile that resets it to factory settings removes them."""
    from tests.blender import make

    (tmp_path / "reference.png").write_bytes(make.png())
    # Large messages take other paths through pyzmq than small ones.
    job = JOB.replace("primitive_cube_add(calc_uvs=False)", "primitive_ico_sphere_add(subdivisions=6)")
    assert job != JOB
    forget = "" if loaded else 'del sys.modules["zmq.utils.garbage"], zmq.utils.garbage\n'
    [facts] = run_blender(
        f"{FROM_DISK}import zmq\n{WITHOUT_WHEELS}{forget}{job}",
        tmp_path,
        source=str(package),
        reference=str(tmp_path / "reference.png"),
    )
    if loaded:
        assert facts["applied"], facts["error"]
    else:
        assert "restart Blender" in facts["error"]


def test_blender_installs_the_extension_from_a_repository_url(package, blender, tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / package.name).symlink_to(package)
    extension.build_repository_index(blender, folder)
    assert (folder / "index.html").exists()
    requests = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, _format, *values):
            requests.append(values[0])

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        [facts] = run_blender(
            FROM_REPOSITORY + IMPORTS, tmp_path, source=f"http://127.0.0.1:{server.server_port}/index.json"
        )
        server.shutdown()
    assert facts["button"]
    assert [request.split()[1].partition("?")[0] for request in requests] == [
        "/index.json",
        f"/{package.name}",
    ]


def run_blender(script: str, tmp_path: Path, **values: str) -> list[dict]:
    """Runs a script in a Blender with an empty profile and without pyzmq; returns its lines of JSON."""
    imports = "import json, os, sys, threading, time\nfrom pathlib import Path\nimport bpy\n"
    assignments = "".join(f"{name} = {value!r}\n" for name, value in values.items())
    done = subprocess.run(
        [sys.executable, "-S", "-c", imports + assignments + script + "os._exit(0)"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ
        | {
            "PYTHONPATH": str(packages_without_pyzmq(tmp_path)),
            "BLENDER_USER_RESOURCES": str(tmp_path / "user"),
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def packages_without_pyzmq(tmp_path: Path) -> Path:
    """A folder with links to this Python's packages except pyzmq."""
    import bpy

    folder = tmp_path / "packages"
    folder.mkdir()
    site_packages = next(parent for parent in Path(bpy.__file__).parents if parent.name == "site-packages")
    for entry in site_packages.iterdir():
        if not entry.name.startswith(("zmq", "pyzmq")):
            (folder / entry.name).symlink_to(entry)
    return folder
