"""The longest time for which a job keeps Blender's main thread busy, on a mesh of a million triangles with a
texture of 4k.

    python3 benchmarks/block.py [--triangles 1000000] [--size 4096] [--module 5.0.1]

Runs inside Blender as a Python module (one that ``install.py test`` has made), with a real server whose
worker returns noise of that size after a while. The main thread does what Blender's timer makes it do, and
nothing else: it asks the queue, and notes how long that took (*callback*) and how late the next beat of 5 ms
came (*gap*: what the I/O thread's hold on the interpreter and other programs add).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
EXTENSION = "bl_ext.user_default.orbit_texture"
BEAT = 0.005
"""Seconds between two beats."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--triangles", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=4096, help="of the texture")
    parser.add_argument("--module", default="5.0.1", help="version of Blender (%(default)s)")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        measure(options.triangles)
        return
    from backend.api import paths
    from installer import blenders

    with tempfile.TemporaryDirectory() as scratch:
        run(
            Path(scratch),
            paths.environment_python(paths.backend_environment()),
            paths.environment_python(blenders.module_folder(options.module)),
            options.size,
        )


def run(scratch: Path, backend: Path, blender: Path, size: int) -> None:
    """Starts the server, then this script again inside Blender, with the checkout as the installed
    extension."""
    extensions = scratch / "user" / "extensions" / "user_default"
    extensions.mkdir(parents=True)
    (extensions / "orbit_texture").symlink_to(ROOT, target_is_directory=True)
    (scratch / "environment").symlink_to(backend.parents[1], target_is_directory=True)
    environment = os.environ | {
        "ORBIT_TEXTURE_HOME": str(scratch),
        "BLENDER_USER_RESOURCES": str(scratch / "user"),
        "ORBIT_TEXTURE_NOISE": str(size),
    }
    server = subprocess.Popen(
        [
            str(backend),
            "-m",
            "backend",
            "serve",
            "--run-dir",
            str(scratch / "run"),
            "--pipeline",
            "tests.pipelines.noise:run",
        ],
        cwd=ROOT,
        env=environment,
    )
    try:
        while not (scratch / "run" / "connection.json").exists() and server.poll() is None:
            time.sleep(0.05)
        subprocess.run([str(blender), *sys.argv, "--inside"], env=environment, check=True)
    finally:
        server.terminate()
        server.wait(20)


def measure(triangles: int) -> None:
    import bpy  # isort: skip (it makes addon_utils importable)
    import addon_utils

    addon_utils.enable(EXTENSION, default_set=True)
    from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue

    bpy.ops.wm.read_factory_settings(use_empty=True)
    addon_utils.enable(EXTENSION, default_set=True)
    bpy.context.scene.orbit_texture.image = bpy.data.images.new("Reference", 64, 64)
    for as_triangles in (True, False):
        obj = add_grid(triangles, as_triangles)
        begun = time.perf_counter()
        bpy.ops.orbit_texture.texture_selected()
        pressed = time.perf_counter() - begun
        callbacks, gaps, applied = beat(queue)
        entry = queue.entries[-1]
        if not entry.applied:
            sys.exit(entry.error.message)
        print(
            f"{len(obj.data.loops) - 2 * len(obj.data.polygons):,} triangles as "
            f"{'triangles' if as_triangles else 'quads'}: press {pressed * 1000:.0f} ms, longest of "
            f"{len(callbacks)} callbacks {max(callbacks) * 1000:.0f} ms, longest gap {max(gaps) * 1000:.0f} "
            f"ms, apply {applied * 1000:.0f} ms",
            flush=True,
        )
    queue.close()
    addon_utils.disable(EXTENSION)
    sys.stdout.flush()
    os._exit(0)


def add_grid(triangles: int, as_triangles: bool):
    """A mesh of quads, or of nothing but triangles, without UVs, that the viewport has shown."""
    import bpy

    side = round((triangles / 2) ** 0.5)
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=side, y_subdivisions=side, calc_uvs=False)
    if as_triangles:
        bpy.context.object.modifiers.new("Triangulate", "TRIANGULATE")
        bpy.ops.object.modifier_apply(modifier="Triangulate")
    bpy.context.view_layer.update()
    return bpy.context.object


def beat(queue) -> tuple[list[float], list[float], float]:
    """Seconds of each callback and of each gap between two beats while the job runs, and of the callback that
    applies the result."""
    callbacks, gaps, last = [], [], time.perf_counter()
    while queue.busy:
        begun = time.perf_counter()
        gaps.append(begun - last - BEAT)
        queue.poll()
        last = time.perf_counter()
        callbacks.append(last - begun)
        time.sleep(BEAT)
    return callbacks[:-1], gaps, callbacks[-1]


if __name__ == "__main__":
    main()
