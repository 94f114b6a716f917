"""Renders the textured mesh: from the reference's camera, from 24 views for the checks, and from 8 for the
contact sheet."""

import contextlib
import math
from pathlib import Path

import bpy
import demo_scene
import numpy as np

CHECKED_VIEWS = [(azimuth, elevation) for elevation in (-35, 10, 55) for azimuth in range(0, 360, 45)]
SHEET_VIEWS = [(azimuth, 10) for azimuth in range(0, 360, 45)]
BLACK_THRESHOLD = 0.06  # largest channel of a pixel that counts as black; the darkest paint has 0.42
# How far red and blue exceed green in a pixel that counts as background. Mixtures of the demo's paints stay
# below 0.19.
MAGENTA_THRESHOLD = 0.2


@contextlib.contextmanager
def unlit_materials(shaded: bool = False):
    """Makes each material emit its base colour, so that lighting does not matter. ``shaded`` darkens surfaces
    that face away from the camera."""
    replaced_links = []
    for material in {
        slot.material for item in bpy.context.scene.objects for slot in item.material_slots if slot.material
    }:
        tree = material.node_tree
        principled = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
        surface = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL").inputs["Surface"]
        before, emission = surface.links[0].from_socket, tree.nodes.new("ShaderNodeEmission")
        tree.links.new(principled.inputs["Base Color"].links[0].from_socket, emission.inputs["Color"])
        tree.links.new(emission.outputs[0], surface)
        added = [emission, *(_shade(tree, emission) if shaded else ())]
        replaced_links.append((tree, before, surface, added))
    try:
        yield
    finally:
        for tree, before, surface, added in replaced_links:
            tree.links.new(before, surface)
            for node in added:
                tree.nodes.remove(node)


def view_error(view: dict) -> float:
    """Degrees between a view, its azimuth and elevation in degrees, and the reference's."""
    found = demo_scene.direction(view["azimuth"], view["elevation"])
    return math.degrees(found.angle(demo_scene.direction(demo_scene.AZIMUTH, demo_scene.ELEVATION)))


def psnr_from_reference(reference: np.ndarray, folder: Path) -> float:
    """The peak signal-to-noise ratio in dB between the reference and the textured mesh, rendered from the
    reference's camera, over the pixels inside both silhouettes, at least one pixel from their edges.

    Args:
        reference: (H, W, 4), its alpha being 1 where it shows the mesh.
        folder: for the rendered image, ``from_reference_camera.png``.
    """
    with unlit_materials(), _camera(demo_scene.AZIMUTH, demo_scene.ELEVATION):
        rendered = demo_scene.render(folder / "from_reference_camera.png", len(reference), 10)
    inside = _erode((reference[..., 3] == 1) & (rendered[..., 3] == 1))
    error = np.mean((reference[inside, :3] - rendered[inside, :3]) ** 2)
    return float(10 * math.log10(1 / max(error, 1e-12)))


def check_views(scratch: Path, size: int = 320) -> dict[str, int]:
    """Counts the bad pixels of the mesh over 24 views: ``black`` and ``background``. Without lighting, faces
    without a texture and empty texels are black."""
    counts = {"black": 0, "background": 0}
    path = scratch / "check.png"
    with unlit_materials():
        for azimuth, elevation in CHECKED_VIEWS:
            with _camera(azimuth, elevation):
                rendered = demo_scene.render(path, size, 1)
            red, green, blue, alpha = np.moveaxis(rendered, 2, 0)
            inside = alpha == 1
            counts["black"] += int((inside & (rendered[..., :3].max(axis=2) < BLACK_THRESHOLD)).sum())
            counts["background"] += int((inside & (np.minimum(red, blue) - green > MAGENTA_THRESHOLD)).sum())
    path.unlink()
    return counts


def contact_sheet(reference: np.ndarray, path: Path, size: int = 512) -> None:
    """Writes the reference, background and all, and, beside it, eight labelled views of the textured mesh,
    ``(2 size, 6 size)`` pixels."""
    with unlit_materials(shaded=True):
        tiles = []
        for azimuth, elevation in SHEET_VIEWS:
            with _camera(azimuth, elevation), _label(f"{azimuth}°"):
                tiles.append(demo_scene.render(path, size, 8))
    with _camera(demo_scene.AZIMUTH, demo_scene.ELEVATION), _label("reference"), _hidden_meshes():
        label = demo_scene.render(path, 2 * size, 4)
    rows = [np.concatenate(tiles[start : start + 4], axis=1) for start in (0, 4)]
    whole = np.concatenate([reference[..., :3], np.ones_like(reference[..., 3:])], axis=2)
    large = _composite(label, _resize(whole, 2 * size))
    sheet = np.concatenate([large, np.concatenate(rows, axis=0)], axis=1)
    background = np.full_like(sheet, 0.22)
    background[..., 3] = 1
    demo_scene.save_image(path, _composite(sheet, background))


def _shade(tree: bpy.types.NodeTree, emission: bpy.types.Node) -> list[bpy.types.Node]:
    """Sets the emission strength to 0.35 at the rim and 1 where the surface faces the camera."""
    geometry, dot, ramp = (
        tree.nodes.new(kind)
        for kind in ("ShaderNodeNewGeometry", "ShaderNodeVectorMath", "ShaderNodeMapRange")
    )
    dot.operation = "DOT_PRODUCT"
    ramp.inputs["To Min"].default_value = 0.35
    tree.links.new(geometry.outputs["Normal"], dot.inputs[0])
    tree.links.new(geometry.outputs["Incoming"], dot.inputs[1])
    tree.links.new(dot.outputs["Value"], ramp.inputs["Value"])
    tree.links.new(ramp.outputs["Result"], emission.inputs["Strength"])
    return [geometry, dot, ramp]


@contextlib.contextmanager
def _camera(azimuth: float, elevation: float):
    camera = demo_scene.add_camera(azimuth, elevation)
    try:
        yield camera
    finally:
        data = camera.data
        bpy.data.objects.remove(camera)
        bpy.data.cameras.remove(data)


@contextlib.contextmanager
def _label(text: str):
    """Writes a text into the lower left corner of the scene's camera."""
    curve = bpy.data.curves.new("Label", "FONT")
    curve.body, curve.size = text, 0.022
    ink = bpy.data.materials.new("Ink")
    demo_scene.emit(ink, (1, 1, 1))
    curve.materials.append(ink)
    label = bpy.data.objects.new("Label", curve)
    label.parent, label.location = bpy.context.scene.camera, (-0.2, -0.2, -1)
    bpy.context.collection.objects.link(label)
    bpy.context.view_layer.update()
    try:
        yield
    finally:
        bpy.data.objects.remove(label)
        bpy.data.curves.remove(curve)
        bpy.data.materials.remove(ink)


@contextlib.contextmanager
def _hidden_meshes():
    meshes = [item for item in bpy.context.scene.objects if item.type == "MESH"]
    for item in meshes:
        item.hide_render = True
    try:
        yield
    finally:
        for item in meshes:
            item.hide_render = False


def _erode(mask: np.ndarray) -> np.ndarray:
    """Removes the outermost pixels of a mask (8-neighbours)."""
    padded = np.pad(mask, 1)
    height, width = mask.shape
    return np.logical_and.reduce(
        [padded[down : down + height, right : right + width] for down in range(3) for right in range(3)]
    )


def _composite(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Composites an image over another: straight alpha, display colours."""
    alpha, under = top[..., 3:], bottom[..., 3:]
    out = alpha + under * (1 - alpha)
    colour = (top[..., :3] * alpha + bottom[..., :3] * under * (1 - alpha)) / np.maximum(out, 1e-6)
    return np.concatenate([colour, out], axis=2)


def _resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """Resizes to a square by nearest neighbour; exact if the size does not change."""
    index = (np.arange(size) + 0.5) * len(pixels) / size
    return pixels[index.astype(int)][:, index.astype(int)]
