"""The base colours of materials whose nodes have to be computed: baked by Cycles, on copies that are removed
afterwards, in a scene of their own."""

from collections.abc import Iterator
from contextlib import contextmanager

import bpy
import numpy as np

from ...backend.api.errors import InvalidTarget
from .base_color import find_base_color_input, follow

UV_LAYER = "Orbit Texture Bake"
"""Name of the UV map of the copy."""

CELL_PIXELS = 32
"""Pixels along the cell of each polygon, where the largest image allows that."""

MIN_SIZE, MAX_SIZE = 512, 4096
"""Pixels along the baked image."""

MARGIN = 0.1
"""Part of a polygon's cell that stays free on each of its sides."""


def lay_out_cells(positions: np.ndarray, starts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """(L, 2) float32 UVs in which every polygon lies flat in a cell of its own.

    Args:
        positions: (L, 3) float32 of each loop, those of a polygon in a row.
        starts, totals: (P,) int32, the first loop of each polygon and how many it has.
    """
    polygon = np.repeat(np.arange(len(starts)), totals)
    # The plane of each polygon: along its first edge, and across.
    following = np.arange(len(positions)) + 1
    following[starts + totals - 1] = starts
    centers = np.add.reduceat(positions, starts) / totals[:, None]
    local = positions - centers[polygon]
    normals = np.add.reduceat(np.cross(local, local[following]), starts)
    along = positions[following[starts]] - positions[starts]
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-20)
    across = np.cross(normals, along)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-20)
    flat = np.stack([(local * axis[polygon]).sum(axis=1) for axis in (along, across)], axis=1)
    low, high = np.minimum.reduceat(flat, starts), np.maximum.reduceat(flat, starts)
    placed = (flat - low[polygon]) / np.maximum(high - low, 1e-20)[polygon]
    side = int(np.ceil(np.sqrt(len(starts))))
    cells = np.stack([np.arange(len(starts)) % side, np.arange(len(starts)) // side], axis=1)
    return ((cells[polygon] + MARGIN + (1 - 2 * MARGIN) * placed) / side).astype(np.float32)


def choose_size(polygons: int) -> int:
    """Pixels along the image for so many polygons: a power of two."""
    wanted = CELL_PIXELS * int(np.ceil(np.sqrt(polygons)))
    return int(np.clip(1 << (wanted - 1).bit_length(), MIN_SIZE, MAX_SIZE))


def bake_colors(
    mesh: bpy.types.Mesh, matrix, materials: list[bpy.types.Material | None], uvs: np.ndarray, size: int
) -> np.ndarray:
    """(S, S, 3) uint8 sRGB, row 0 at the top: the base colours of a mesh on UVs.

    Args:
        mesh: a copy that may be changed.
        matrix: from its space to the world's.
        materials: of its slots; None for those that are not to be baked.
        uvs: (L, 2) float32.
        size: pixels along the image.

    Raises:
        InvalidTarget: Cycles cannot bake it.
    """
    with _make_scene(mesh, matrix) as (scene, obj):
        layer = mesh.uv_layers.new(name=UV_LAYER, do_init=False)
        if layer is None:
            raise InvalidTarget(
                "The present texture cannot be baked: the mesh has no room for another UV map. Remove one, "
                "or start from nothing."
            )
        name = layer.name
        mesh.attributes[name].data.foreach_set("vector", uvs.ravel())
        image, copies = bpy.data.images.new("Orbit Texture Bake", size, size), []
        try:
            is_emission = [material is None or _shows_one_shader(material) for material in materials]
            baked = np.zeros((size, size, 4), np.float32)
            for emission in (True, False):
                if any(e == emission and m for e, m in zip(is_emission, materials, strict=True)):
                    part = [m if e == emission else None for e, m in zip(is_emission, materials, strict=True)]
                    pixels = _bake(scene, obj, image, part, emission, name, copies)
                    taken = pixels[..., 3:] > 0
                    baked = np.where(taken, pixels, baked)
            return np.round(255 * np.clip(baked[::-1, :, :3], 0, 1)).astype(np.uint8)
        except RuntimeError as error:
            raise InvalidTarget(
                f"The present texture cannot be baked by Cycles: {str(error).strip()} Start from nothing, or "
                "give the object an image texture."
            ) from error
        finally:
            bpy.data.images.remove(image)
            for copy in copies:
                bpy.data.materials.remove(copy)


def _shows_one_shader(material: bpy.types.Material) -> bool:
    return find_base_color_input(material.node_tree) is not None


def _bake(scene, obj, image, materials, emission: bool, uv_layer: str, copies: list) -> np.ndarray:
    """(S, S, 4) float32, row 0 at the bottom, sRGB-encoded: what these materials show, alpha 0 elsewhere."""
    obj.data.materials.clear()
    image.pixels.foreach_set(np.zeros(image.size[0] * image.size[1] * 4, np.float32))
    size, aside = image.size[0], bpy.data.images.new("Orbit Texture Bake Aside", 8, 8)
    try:
        for material in materials:
            copy = material.copy() if material else bpy.data.materials.new("Orbit Texture Bake")
            copies.append(copy)
            if material is None:
                copy.use_nodes = True
            elif emission:
                _show_as_emission(copy.node_tree)
            target = copy.node_tree.nodes.new("ShaderNodeTexImage")
            target.image = image if material else aside
            copy.node_tree.nodes.active = target
            obj.data.materials.append(copy)
        with bpy.context.temp_override(
            scene=scene,
            view_layer=scene.view_layers[0],
            object=obj,
            active_object=obj,
            selected_objects=[obj],
            selected_editable_objects=[obj],
        ):
            bpy.ops.object.bake(
                type="EMIT" if emission else "DIFFUSE",
                pass_filter=set() if emission else {"COLOR"},
                uv_layer=uv_layer,
                margin=2,
                use_clear=False,
                save_mode="INTERNAL",
            )
        pixels = np.empty((size, size, 4), np.float32)
        image.pixels.foreach_get(pixels.ravel())
        return pixels
    finally:
        bpy.data.images.remove(aside)


def _show_as_emission(tree: bpy.types.NodeTree) -> None:
    """Makes a material emit its base colour, whatever its metallic is."""
    socket = find_base_color_input(tree)
    emission = tree.nodes.new("ShaderNodeEmission")
    source = follow(socket)
    if source is None:
        emission.inputs["Color"].default_value = socket.default_value
    else:
        tree.links.new(source, emission.inputs["Color"])
    output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL" and node.is_active_output)
    tree.links.new(emission.outputs[0], output.inputs["Surface"])


@contextmanager
def _make_scene(mesh: bpy.types.Mesh, matrix) -> Iterator[tuple[bpy.types.Scene, bpy.types.Object]]:
    """A scene of its own with an object of a mesh, which are removed again."""
    scene = bpy.data.scenes.new("Orbit Texture Bake")
    obj = bpy.data.objects.new("Orbit Texture Bake", mesh)
    try:
        scene.collection.objects.link(obj)
        obj.matrix_world = matrix
        scene.render.engine = "CYCLES"
        scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = "CPU", 1, False
        scene.render.bake.use_selected_to_active = False
        layer = scene.view_layers[0]
        layer.update()
        layer.objects.active = obj
        obj.select_set(True, view_layer=layer)
        yield scene, obj
    finally:
        bpy.data.objects.remove(obj)
        bpy.data.scenes.remove(scene)
