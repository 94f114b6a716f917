"""How long an artist waits: from the press of Texture Selected to the take, on Suzanne with a texture of 1k
by the draft.

    python3 benchmarks/first_minute.py [--module 5.0.1] [--json FILE] [--compile]

Runs inside Blender as a Python module (one that ``install.py test`` has made), with a server and a worker of
its own. *First*: the first press of a session, for which server and worker start. *Warm*: the presses after
it, each with another cut-out picture, so that nothing is known from before. *Photo*: an ordinary picture,
with ground, light and shadow, in which the object has to be searched; *checked*: another one that was checked
before the press, as the panel does of itself. ``--compile`` begins without compiled code, as an installation
that did not compile it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
EXTENSION = "bl_ext.user_default.orbit_texture"
LIMITS = {"first": 25.0, "warm": 15.0, "photo": None, "checked": 15.0}
"""Seconds on two idle cores that a press may take."""

PRESSES = ("first", "warm", "warm", "warm", "photo", "checked")


def main() -> None:
    from backend.api import paths
    from benchmarks.report import Report, parser
    from installer import blenders

    options = parser(__doc__)
    options.add_argument("--module", default="5.0.1", help="version of Blender (%(default)s)")
    options.add_argument("--compile", action="store_true", help="begin without compiled code")
    options.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = options.parse_args()
    if options.inside:
        measure(options.inside)
        return
    blender = paths.environment_python(blenders.module_folder(options.module))
    with tempfile.TemporaryDirectory() as scratch:
        found = run(Path(scratch), blender, options.compile)
    report = Report(["press", "s", "at most", "stages, s"], options.json)
    for press in found:
        stages = ", ".join(f"{name} {value:.1f}" for name, value in press["stages"].items())
        report.add(press["press"], press["seconds"], LIMITS[press["press"]], stages)


def run(scratch: Path, blender: Path, compiles: bool) -> list[dict]:
    """Starts this script again inside Blender, with the checkout as the installed extension and an empty
    home, and returns what it has measured."""
    from backend.api import paths

    extensions = scratch / "user" / "extensions" / "user_default"
    extensions.mkdir(parents=True)
    (extensions / "orbit_texture").symlink_to(ROOT, target_is_directory=True)
    (scratch / "environment").symlink_to(paths.backend_environment(), target_is_directory=True)
    environment = os.environ | {
        "ORBIT_TEXTURE_HOME": str(scratch),
        "BLENDER_USER_RESOURCES": str(scratch / "user"),
    }
    if compiles:
        environment["NUMBA_CACHE_DIR"] = str(scratch / "compiled")
    subprocess.run(
        [str(blender), __file__, "--inside", str(scratch)],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return json.loads((scratch / "measured.json").read_text())


def measure(scratch: Path) -> None:
    """Presses the button in this Blender and writes ``measured.json`` into a folder."""
    import bpy  # isort: skip (it makes addon_utils importable)
    import addon_utils

    sys.path.insert(0, str(ROOT / "docs" / "examples"))
    import demo_scene

    bpy.ops.wm.read_factory_settings(use_empty=True)
    addon_utils.enable(EXTENSION, default_set=True)
    from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
    from bl_ext.user_default.orbit_texture.addon.reference_check.checks import checks

    references = []
    for number, press in enumerate(PRESSES):
        folder = scratch / str(number)
        folder.mkdir()
        is_photo = press in ("photo", "checked")
        render = demo_scene.render_photo if is_photo else demo_scene.render_reference
        render(folder, size=512 + number)
        references.append(folder / ("reference.jpg" if is_photo else "reference.png"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    addon_utils.enable(EXTENSION, default_set=True)
    bpy.ops.mesh.primitive_monkey_add()
    panel = bpy.context.scene.orbit_texture
    panel.painter, panel.texture_size = "draft", "1024"
    measured = []
    for press, reference in zip(PRESSES, references, strict=True):
        panel.image = bpy.data.images.load(str(reference))
        if press == "checked":
            bpy.ops.orbit_texture.check_reference()
            check = checks.find(bpy.context.object, panel)
            wait_until(queue, lambda check=check: not checks.is_at_work(check))
        begun = time.perf_counter()
        bpy.ops.orbit_texture.texture_selected()
        wait_until(queue, lambda: not queue.busy)
        seconds = time.perf_counter() - begun
        entry = queue.entries[-1]
        if not entry.applied:
            sys.exit(entry.error.message)
        measured.append({"press": press, "seconds": seconds, "stages": entry.report["seconds"]})
    (scratch / "measured.json").write_text(json.dumps(measured))
    queue.close()
    addon_utils.disable(EXTENSION)
    os._exit(0)


def wait_until(queue, condition) -> None:
    while not condition():
        queue.poll()
        time.sleep(0.02)


if __name__ == "__main__":
    main()
