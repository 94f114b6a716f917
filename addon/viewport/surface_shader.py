"""Draws images over an object's surface in the viewports, from a copy of its triangles on the GPU. Nothing in
the file is changed for that."""

import bpy
import gpu
import numpy as np
from bpy.app.handlers import persistent

from ..objects import mesh_io
from .shaders import ShaderProgram, compile_program

_SURFACE_VERTEX_SHADER = """
void main() {
    texel = uv;
    gl_Position = matrix * vec4(position, 1.0);
    gl_Position.z -= 5e-5 * gl_Position.w;  // in front of the surface itself
}
"""

_batches: dict[tuple[int, str], gpu.types.GPUBatch | None] = {}


def draw_on_surface(
    obj: bpy.types.Object, layer: str, images: dict[str, bpy.types.Image], fragment: str, matrix
) -> None:
    """Draws images, mapped by a UV layer, over an object's surface into the bound framebuffer. Draws nothing
    if the layer is missing.

    Args:
        images: by the name of their sampler in the fragment shader.
        fragment: GLSL source that reads the images at ``texel`` and writes ``color``.
        matrix: (4, 4) from world space to clip space.
    """
    batch = get_batch(obj, layer)
    if batch is None:
        return
    gpu.state.depth_test_set("LESS_EQUAL")
    gpu.state.blend_set("ALPHA")
    shader = compile_program(_make_program(fragment, tuple(images)))
    shader.bind()
    shader.uniform_float("matrix", matrix @ obj.matrix_world)
    for name, image in images.items():
        shader.uniform_sampler(name, gpu.texture.from_image(image))
    batch.draw(shader)
    gpu.state.blend_set("NONE")
    gpu.state.depth_test_set("NONE")


def get_batch(obj: bpy.types.Object, layer: str = "") -> gpu.types.GPUBatch | None:
    """The object's triangles on the GPU, uploaded again after the mesh has changed. Only one object's batches
    are kept; None if the UV layer is missing. Without a name of a layer it has the triangles' normals in
    place of UVs."""
    if any(uid != obj.session_uid for uid, _ in _batches):
        _batches.clear()
    key = obj.session_uid, layer
    if key not in _batches:
        corners = mesh_io.read_corners(obj, layer)
        _batches[key] = _upload_batch(*corners) if corners else None
    return _batches[key]


def _upload_batch(positions: np.ndarray, uvs: np.ndarray | None) -> gpu.types.GPUBatch:
    layout = gpu.types.GPUVertFormat()
    layout.attr_add(id="position", comp_type="F32", len=3, fetch_mode="FLOAT")
    if uvs is None:
        layout.attr_add(id="normal", comp_type="F32", len=3, fetch_mode="FLOAT")
    else:
        layout.attr_add(id="uv", comp_type="F32", len=2, fetch_mode="FLOAT")
    corners = gpu.types.GPUVertBuf(layout, len(positions))
    corners.attr_fill("position", positions)
    if uvs is None:
        corners.attr_fill("normal", _corner_normals(positions))
    else:
        corners.attr_fill("uv", uvs)
    return gpu.types.GPUBatch(type="TRIS", buf=corners)


def _corner_normals(positions: np.ndarray) -> np.ndarray:
    """(3F, 3) float32 unit normals of triangles whose corners are positions (3F, 3); 0 without an area."""
    corners = positions.reshape(-1, 3, 3)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    return np.repeat(normals, 3, axis=0)


def _make_program(fragment: str, images: tuple[str, ...]) -> ShaderProgram:
    return ShaderProgram(
        "orbit_texture_surface",
        _SURFACE_VERTEX_SHADER,
        fragment,
        attributes=(("VEC3", "position"), ("VEC2", "uv")),
        smooth=(("VEC2", "texel"),),
        images=images,
    )


@persistent
def _drop_changed_batches(_scene, depsgraph) -> None:
    if any(update.is_updated_geometry for update in depsgraph.updates):
        _batches.clear()


def register() -> None:
    bpy.app.handlers.depsgraph_update_post.append(_drop_changed_batches)


def unregister() -> None:
    bpy.app.handlers.depsgraph_update_post.remove(_drop_changed_batches)
    _batches.clear()
