"""Textures Suzanne from one picture of her and shows what came out. ``install.py demo`` runs it inside
Blender:

    blender -b --factory-startup --python docs/examples/demo.py --
        --addon orbit_texture-0.1.0.zip --output out/demo

It paints Suzanne with a procedural material and takes her picture, then starts a new file with a bare Suzanne
(no material, no UVs) and textures her from that picture alone. What the output folder holds is listed at the
end.
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


def main(options: argparse.Namespace) -> int:
    started = time.perf_counter()
    folder = options.output
    folder.mkdir(parents=True, exist_ok=True)
    print("Painting Suzanne and taking her picture", flush=True)
    reference = demo_scene.render_reference(folder)

    demo_scene.new_scene()
    suzanne = demo_scene.add_suzanne()
    enable_addon(options.addon)
    headless = importlib.import_module(f"{EXTENSION}.addon.headless")
    print("Texturing a bare Suzanne from the picture", flush=True)
    outcome = headless.texture([suzanne], folder / "reference.png")[0]
    if outcome["error"]:
        print(outcome["error"]["message"], file=sys.stderr)
        return 1
    report = outcome["report"]

    print("Saving and looking at her", flush=True)
    save(suzanne, folder)
    report["psnr"] = demo_views.psnr_from_reference(reference, folder)
    report["bad_pixels"] = demo_views.check_views(folder)
    demo_views.contact_sheet(reference, folder / "contact_sheet.png")
    report["total_seconds"] = time.perf_counter() - started
    (folder / "report.json").write_text(json.dumps(report, indent=2, default=str), encoding="utf-8")
    show(report, folder)
    return 0 if not any(report["bad_pixels"].values()) else 1


def enable_addon(package: Path) -> None:
    """Installs the extension, unless these very files are installed already: what the worker has compiled
    lies beside them."""
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
    importlib.import_module(
        f"{EXTENSION}.addon.jobs.queue"
    ).queue.restart_server()  # one that runs still has the files that were replaced
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


def show(report: dict, folder: Path) -> None:
    print("\nstage            seconds")
    for stage, seconds in report["seconds"].items():
        print(f"{stage:15} {seconds:8.2f}")
    print(f"{'whole demo':15} {report['total_seconds']:8.2f}")
    print("A stage that an earlier run has finished is not repeated; its seconds are those of that run.")
    print(f"\nSeen from the reference's camera: {report['psnr']:.1f} dB PSNR")
    print(
        "Over 24 views: "
        + ", ".join(f"{count} pixels of {name}" for name, count in report["bad_pixels"].items())
    )
    print(f"\nLook at {folder / 'contact_sheet.png'} or open {folder / 'demo.blend'}")


def parse() -> argparse.Namespace:
    arguments = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--addon", type=Path, required=True, help="the extension's zip")
    parser.add_argument("--output", type=Path, required=True, help="folder for what it makes")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    status = main(parse())
    sys.stdout.flush()
    # As a Python module some Blenders (4.2, 4.5) crash or hang when the interpreter ends with an extension
    # enabled.
    os._exit(status)
