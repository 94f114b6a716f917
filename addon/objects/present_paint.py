"""The base colour that an object wears now, whatever its materials are: read from images, colours and colour
attributes, and baked by Cycles where nodes have to be computed."""

from dataclasses import dataclass

import bpy
import numpy as np

from ...backend.api.present_paint import PresentPaint
from .base_color import BaseColor, read_base_color
from .color_bake import bake_colors, choose_size, lay_out_cells
from .shown_pixels import read_shown_pixels
from .snapshot import MeshSnapshot


@dataclass(frozen=True)
class PaintSource:
    """The base colour of a mesh as Blender holds it. No bpy.

    Attributes:
        images: (H, W, 3) uint8 sRGB, row 0 at the top.
        image_of: (P,) int32, the image of each polygon, or -1.
        uvs: (L, 2) float32 of each loop in its image.
        colors: (L, 3) float32 sRGB 0..1 of each loop, by which the image is multiplied.
        known: (P,) bool, whether the polygon has a colour at all.
    """

    images: tuple[np.ndarray, ...]
    image_of: np.ndarray
    uvs: np.ndarray
    colors: np.ndarray
    known: np.ndarray

    def make_paint(self, snapshot: MeshSnapshot) -> PresentPaint:
        """The paint of a job with the mesh that the snapshot is of."""
        loops = snapshot.loops
        polygons = np.arange(len(loops)) if snapshot.polygons is None else snapshot.polygons
        return PresentPaint(
            self.images,
            self.image_of[polygons],
            self.uvs[loops] if self.images else None,
            None if (self.colors == 1).all() else self.colors[loops],
            None if self.known.all() else np.where(self.known, 255, 0).astype(np.uint8)[polygons],
        )


def read_paint(obj: bpy.types.Object, mesh: bpy.types.Mesh) -> PaintSource:
    """The base colour of an object on one of its meshes: its own, or the evaluated one.

    Raises:
        OrbitError: an image cannot be read, or Cycles cannot bake.
    """
    return _Reader(obj, mesh).read()


class _Reader:
    """Collects the paint of a mesh, material by material."""

    def __init__(self, obj: bpy.types.Object, mesh: bpy.types.Mesh):
        self.obj, self.mesh = obj, mesh
        count, loops = len(mesh.polygons), len(mesh.loops)
        self.starts, self.totals = np.empty(count, np.int32), np.empty(count, np.int32)
        mesh.polygons.foreach_get("loop_start", self.starts)
        mesh.polygons.foreach_get("loop_total", self.totals)
        self.images: list[np.ndarray] = []
        self.numbers: dict[bpy.types.Image, int] = {}
        self.image_of = np.full(count, -1, np.int32)
        self.uvs = np.zeros((loops, 2), np.float32)
        self.colors = np.ones((loops, 3), np.float32)
        self.known = np.zeros(count, bool)

    def read(self) -> PaintSource:
        seen = self.obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
        materials = [slot.material and slot.material.original for slot in seen.material_slots]
        slots = np.zeros(len(self.mesh.polygons), np.int32)
        if attribute := self.mesh.attributes.get("material_index"):
            attribute.data.foreach_get("value", slots)
        slots = np.clip(slots, 0, max(len(materials) - 1, 0))
        left = [None] * len(materials)
        for slot, material in enumerate(materials):
            faces = slots == slot
            if material is None or not faces.any():
                continue
            color = read_base_color(material)
            if color is None or not self._take(color, faces):
                left[slot] = material
        if any(left):
            self._bake(left, slots)
        return PaintSource(tuple(self.images), self.image_of, self.uvs, self.colors, self.known)

    def _take(self, color: BaseColor, faces: np.ndarray) -> bool:
        """Takes the plain colour of some polygons (P,) bool. Returns whether the mesh has what it names."""
        loops = np.repeat(faces, self.totals)
        if color.image is not None:
            uvs = self._read_uvs(color.uv_map)
            if uvs is None:
                return False
            number = self._add_image(color.image)
            if number is None:
                return True  # without its file an image has no colour
            self.image_of[faces] = number
            self.uvs[loops] = uvs[loops] @ color.placement[:, :2].T + color.placement[:, 2]
        elif color.constant is not None:
            self.colors[loops] = encode_srgb(color.constant)
        else:
            colors = self._read_colors(color.attribute)
            if colors is None:
                return False
            self.colors[loops] = encode_srgb(colors[loops])
        self.known |= faces
        return True

    def _add_image(self, image: bpy.types.Image) -> int | None:
        if image not in self.numbers:
            pixels = read_shown_pixels(image)[::-1, :, :3]
            if pixels.size == 0:
                return None
            if image.colorspace_settings.is_data:
                pixels = encode_srgb(pixels)
            self.numbers[image] = len(self.images)
            self.images.append(np.round(255 * np.clip(pixels, 0, 1)).astype(np.uint8))
        return self.numbers[image]

    def _read_uvs(self, name: str) -> np.ndarray | None:
        """(L, 2) float32 of a UV map; "" for the one that renders use."""
        layers = self.mesh.uv_layers
        layer = layers.get(name) if name else next((each for each in layers if each.active_render), None)
        if layer is None:
            return None
        uvs = np.empty((len(self.mesh.loops), 2), np.float32)
        self.mesh.attributes[layer.name].data.foreach_get("vector", uvs.ravel())
        return uvs

    def _read_colors(self, name: str) -> np.ndarray | None:
        """(L, 3) float32 linear of a colour attribute; "" for the mesh's default one."""
        attribute = self.mesh.color_attributes.get(name or self.mesh.color_attributes.default_color_name)
        if attribute is None or attribute.domain not in {"POINT", "CORNER"}:
            return None
        colors = np.empty((len(attribute.data), 4), np.float32)
        attribute.data.foreach_get("color", colors.ravel())
        if attribute.domain == "POINT":
            vertices = np.empty(len(self.mesh.loops), np.int32)
            self.mesh.loops.foreach_get("vertex_index", vertices)
            colors = colors[vertices]
        return colors[:, :3]

    def _bake(self, materials: list, slots: np.ndarray) -> None:
        """Bakes the polygons of the materials that are given."""
        copy = self._copy_mesh()
        try:
            vertices, positions = (
                np.empty(len(copy.loops), np.int32),
                np.empty(3 * len(copy.vertices), np.float32),
            )
            copy.loops.foreach_get("vertex_index", vertices)
            copy.vertices.foreach_get("co", positions)
            uvs = lay_out_cells(positions.reshape(-1, 3)[vertices], self.starts, self.totals)
            size = choose_size(len(self.starts))
            image = bake_colors(copy, self.obj.matrix_world, materials, uvs, size)
        finally:
            bpy.data.meshes.remove(copy)
        faces = np.isin(slots, [slot for slot, material in enumerate(materials) if material])
        loops = np.repeat(faces, self.totals)
        self.uvs[loops], self.image_of[faces] = uvs[loops], len(self.images)
        self.known |= faces
        self.images.append(image)

    def _copy_mesh(self) -> bpy.types.Mesh:
        if self.mesh == self.obj.data:
            return self.mesh.copy()
        depsgraph = bpy.context.evaluated_depsgraph_get()
        return bpy.data.meshes.new_from_object(
            self.obj.evaluated_get(depsgraph), preserve_all_data_layers=True, depsgraph=depsgraph
        )


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear values 0..1 as sRGB-encoded float32."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).astype(
        np.float32
    )
