"""Textures Suzanne from one image of her and evaluates the result. ``install.py demo`` runs it inside
Blender:

    blender -b --factory-startup --python docs/examples/demo.py --
        --addon orbit_texture-0.1.0.zip --output out/demo

It renders a photo of a Suzanne with a procedural material as the reference: she lies on a sheet of paper in
the sun. Then it starts a new file with an untextured Suzanne (no material, no UVs) and textures her from that
image alone. The contents of the output folder are listed at the end.
"""

import argparse
import importlib
import json
import os
import sys
import time
import zipfile
from pathlib import Path

import bpy  # isort: skip (it makes addon_utils importable)
import addon_utils

sys.path.insert(0, str(Path(__file__).resolve().parent))
import demo_scene
import demo_views

EXTENSION = "bl_ext.user_default.orbit_texture"

# Degrees up to which the view that was found counts as right.
RIGHT_ANGLE = 5.0


def main(options: argparse.Namespace) -> int:
    started = time.perf_counter()
    folder = options.output
    folder.mkdir(parents=True, exist_ok=True)
    print("Rendering the reference: a photo of a painted Suzanne", flush=True)
    reference = demo_scene.render_photo(folder)

    demo_scene.new_scene()
    suzanne = demo_scene.add_suzanne()
    enable_addon(options.addon)
    headless = importlib.import_module(f"{EXTENSION}.addon.headless")
    print("Texturing a plain Suzanne from the reference", flush=True)
    outcome = headless.texture([suzanne], folder / "reference.jpg")[0]
    if outcome["error"]:
        print(outcome["error"]["message"], file=sys.stderr)
        return 1
    report = outcome["report"]

    print("Saving and evaluating the result", flush=True)
    save(suzanne, folder)
    report["psnr"] = demo_views.psnr_from_reference(reference, folder)
    report["view_error"] = demo_views.view_error(report["view"])
    report["black_pixels"] = demo_views.check_views(folder)["black"]
    demo_views.contact_sheet(reference, folder / "contact_sheet.png")
    report["total_seconds"] = time.perf_counter() - started
    (folder / "report.json").write_text(json.dumps(report, indent=2, default=str), encoding="utf-8")
    print_report(report, folder)
    return 0 if report["black_pixels"] == 0 and report["view_error"] <= RIGHT_ANGLE else 1


def enable_addon(package: Path) -> None:
    """Installs the extension, unless the same files are already installed: the worker keeps its compiled code
    beside them."""
    with zipfile.ZipFile(package) as archive:
        contents = repr(sorted((entry.filename, entry.CRC) for entry in archive.infolist()))
    marker = Path(bpy.utils.user_resource("EXTENSIONS", create=True)) / "installed-by-demo.txt"
    if (
        marker.exists()
        and marker.read_text(encoding="utf-8") == contents
        and addon_utils.enable(EXTENSION, default_set=True)
    ):
        return
    bpy.ops.extensions.package_install_files(
        filepath=str(package), repo="user_default", enable_on_install=True
    )
    # A server that is still running has the old files loaded.
    importlib.import_module(f"{EXTENSION}.addon.jobs.queue").queue.restart_server()
    marker.write_text(contents, encoding="utf-8")


def save(suzanne: bpy.types.Object, folder: Path) -> None:
    """Writes ``demo.blend``, ``suzanne.glb`` and ``base_color.png``."""
    (folder / "base_color.png").write_bytes(base_color(suzanne).packed_file.data)
    bpy.ops.object.select_all(action="DESELECT")
    suzanne.select_set(True)
    bpy.ops.export_scene.gltf(filepath=str(folder / "suzanne.glb"), use_selection=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "demo.blend"))


def base_color(item: bpy.types.Object) -> bpy.types.Image:
    """The image on the base colour of the object's material."""
    nodes = item.active_material.node_tree.nodes
    principled = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
    return principled.inputs["Base Color"].links[0].from_node.image


def print_report(report: dict, folder: Path) -> None:
    print("\nstage            seconds")
    for stage, seconds in report["seconds"].items():
        print(f"{stage:15} {seconds:8.2f}")
    print(f"{'whole demo':15} {report['total_seconds']:8.2f}")
    print("Stages that an earlier run has finished are not repeated; their seconds are from that run.")
    print(f"\nThe camera that was found is {report['view_error']:.1f}° beside the reference's")
    print(f"Seen from the reference's camera: {report['psnr']:.1f} dB PSNR")
    print(f"Over 24 views: {report['black_pixels']} black pixels")
    print(f"\nLook at {folder / 'contact_sheet.png'} or open {folder / 'demo.blend'}")


def parse() -> argparse.Namespace:
    arguments = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--addon", type=Path, required=True, help="the extension's zip")
    parser.add_argument("--output", type=Path, required=True, help="folder for the results")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    status = main(parse())
    sys.stdout.flush()
    # As a Python module some Blenders (4.2, 4.5) crash or hang when the interpreter ends with an extension
    # enabled.
    os._exit(status)
