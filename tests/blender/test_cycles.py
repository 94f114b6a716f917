"""Compares the backend's G-buffers with Cycles's render passes of the same meshes from the published cameras
(docs/models/orbitpainter.md#cameras)."""

import os
import subprocess
from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Matrix

pytestmark = [pytest.mark.worker, pytest.mark.every_blender]
ROOT = Path(__file__).resolve().parents[2]
RENDER_SIZE = 160
"""Width and height of the renders, in pixels."""
VIEWS = (
    "horizontal:0",
    "horizontal:37",
    "vertical:13",
    "vertical:68",
    "straight:13",
    "parallel:40:-25:1.3",
    "parallel:200:50:1.3",
)


def monkey() -> None:
    """A mesh that occludes parts of itself; smooth except for its eyes, and open behind them."""
    bpy.ops.mesh.primitive_monkey_add(size=0.8, rotation=(0.2, 0, 0.3))
    bpy.ops.object.shade_smooth()


def torus() -> None:
    """A smooth mesh, so coarse that its shading normals differ from its face normals."""
    bpy.ops.mesh.primitive_torus_add(
        major_segments=20, minor_segments=9, major_radius=0.34, minor_radius=0.13, rotation=(0.9, 0.4, 0)
    )
    bpy.ops.object.shade_smooth()


def bowl() -> None:
    """An open, flat-shaded mesh whose faces point inwards: half of the views see back faces."""
    bpy.ops.mesh.primitive_uv_sphere_add(segments=14, ring_count=10, radius=0.48, rotation=(0.7, 0.2, 0))
    mesh = bpy.context.object.data
    corners = [tuple(reversed(face.vertices)) for face in mesh.polygons if face.center.z < 0.1]
    vertices = [vertex.co.copy() for vertex in mesh.vertices]
    mesh.clear_geometry()
    mesh.from_pydata(vertices, [], corners)


MESHES = {"monkey": monkey, "torus": torus, "bowl": bowl}


@pytest.fixture(scope="module")
def buffers(tmp_path_factory) -> tuple[dict, dict]:
    """``(cycles, rasterized)``: the mask (H, W) bool, position and normal (H, W, 3) float32 of each mesh and
    view."""
    folder = tmp_path_factory.mktemp("cycles")
    cycles, arrays = {}, {}
    for name, make in MESHES.items():
        scene = empty_scene()
        make()
        make_diffuse(bpy.context.object)
        bpy.context.object.data.transform(bpy.context.object.matrix_basis)
        bpy.context.object.matrix_basis = Matrix()
        arrays |= {f"{name}/{part}": array for part, array in triangles(bpy.context.object.data).items()}
        for view in VIEWS:
            place_camera(scene.camera, view)
            cycles |= {
                f"{name}/{view}/{part}": array for part, array in render(scene, folder / "view.exr").items()
            }
    np.savez(folder / "meshes.npz", **arrays)
    command = [
        os.environ["BACKEND_PYTHON"],
        "-m",
        "tests.blender.rasterize_meshes",
        folder / "meshes.npz",
        folder / "rasterized.npz",
        str(RENDER_SIZE),
        *VIEWS,
    ]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120)
    with np.load(folder / "rasterized.npz", allow_pickle=False) as rasterized:
        return cycles, dict(rasterized)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("mesh", MESHES)
def test_a_rasterized_view_matches_cycles(buffers, mesh, view):
    (mask, position, normal), (our_mask, our_position, our_normal) = (
        [images[f"{mesh}/{view}/{part}"] for part in ("mask", "position", "normal")] for images in buffers
    )
    assert mask.sum() > 2000
    assert not (mask & ~dilate(our_mask)).any(), "Cycles sees the surface more than a pixel outside of ours"
    assert not (our_mask & ~dilate(mask)).any(), "we see the surface more than a pixel outside of Cycles's"
    interior = ~dilate(~mask) & ~dilate(~our_mask)
    away = np.abs(position - our_position).max(axis=2)[interior]
    assert (away <= 1 / 255).mean() >= 0.995
    cosine = (normal * our_normal).sum(axis=2)[interior]
    assert (cosine >= np.cos(np.radians(2))).mean() >= 0.995


def dilate(mask: np.ndarray) -> np.ndarray:
    """The mask (H, W) bool grown by its eight neighbours."""
    padded = np.pad(mask, 1)
    height, width = mask.shape
    return np.any([padded[y : y + height, x : x + width] for y in range(3) for x in range(3)], axis=0)


def empty_scene() -> bpy.types.Scene:
    """A scene that renders one sample through each pixel's centre, position and normal included."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.filter_width = 1, 0.01
    scene.cycles.use_denoising = scene.cycles.use_adaptive_sampling = False
    scene.render.resolution_x = scene.render.resolution_y = RENDER_SIZE
    scene.render.film_transparent = True
    scene.view_layers[0].use_pass_position = scene.view_layers[0].use_pass_normal = True
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):  # Blender 5
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format, settings.color_depth, settings.exr_codec = "OPEN_EXR_MULTILAYER", "32", "NONE"
    return scene


def make_diffuse(obj: bpy.types.Object) -> None:
    """The normal pass averages the normals of a material's closures: a diffuse one has the shading normal,
    while the Principled BSDF bends those that would reflect a glancing ray into the surface (6 % of this
    coarse monkey's pixels, by up to 42 degrees)."""
    material = bpy.data.materials.new("Diffuse")
    material.use_nodes = True
    nodes = material.node_tree.nodes
    nodes.clear()
    surface = nodes.new("ShaderNodeOutputMaterial").inputs["Surface"]
    material.node_tree.links.new(nodes.new("ShaderNodeBsdfDiffuse").outputs["BSDF"], surface)
    obj.data.materials.append(material)


def place_camera(camera: bpy.types.Object, view: str) -> None:
    """Sets the camera of a view to the published matrix, whose columns are right, up, back and position."""
    kind, *numbers = view.split(":")
    data = camera.data
    data.lens, data.sensor_width, data.type = 35, 32, "PERSP"
    if kind == "parallel":
        azimuth, elevation = np.radians([float(numbers[0]) - 90, float(numbers[1])])
        back = np.array(
            [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)]
        )
        right = np.array([-np.sin(azimuth), np.cos(azimuth), 0])
        up = np.cross(back, right)
        data.type, data.ortho_scale = "ORTHO", float(numbers[2])
    elif kind == "horizontal":
        angle = np.radians(-90 + 3 * int(numbers[0]))
        right, up, back = (-np.sin(angle), np.cos(angle), 0), (0, 0, 1), (np.cos(angle), np.sin(angle), 0)
    else:
        angle = np.radians(3 * int(numbers[0]))
        right = (1 if kind == "straight" else -1, 0, 0)
        up, back = (0, np.sin(angle), np.cos(angle)), (0, -np.cos(angle), np.sin(angle))
    matrix = np.eye(4)
    matrix[:3] = np.column_stack([right, up, back, 1.5 * np.asarray(back)])
    camera.matrix_world = Matrix(matrix)


def triangles(mesh: bpy.types.Mesh) -> dict[str, np.ndarray]:
    """``vertices`` (V, 3) float32, ``faces`` (F, 3) int32 and ``corner_normals`` (F, 3, 3) float32 as Blender
    shades them."""
    mesh.calc_loop_triangles()
    arrays = {
        "vertices": np.empty((len(mesh.vertices), 3), np.float32),
        "faces": np.empty((len(mesh.loop_triangles), 3), np.int32),
    }
    mesh.vertices.foreach_get("co", arrays["vertices"].ravel())
    mesh.loop_triangles.foreach_get("vertices", arrays["faces"].ravel())
    loops, normals = np.empty_like(arrays["faces"]), np.empty((len(mesh.loops), 3), np.float32)
    mesh.loop_triangles.foreach_get("loops", loops.ravel())
    mesh.corner_normals.foreach_get("vector", normals.ravel())
    return arrays | {"corner_normals": normals[loops]}


def render(scene: bpy.types.Scene, path: Path) -> dict[str, np.ndarray]:
    """``mask`` (H, W) bool, ``position`` and ``normal`` (H, W, 3) float32 of Cycles's passes."""
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    channels = {name.split(".", 1)[1]: values for name, values in read_exr(path).items()}
    vectors = {
        part.lower(): np.stack([channels[f"{part}.{axis}"] for axis in "XYZ"], axis=-1)
        for part in ("Position", "Normal")
    }
    return vectors | {"mask": channels["Combined.A"] > 0.5}


def read_exr(path: Path) -> dict[str, np.ndarray]:
    """(H, W) float32 per channel of an uncompressed OpenEXR file of 32-bit scan lines, in one part (Blender
    4) or several (5).

    Blender's own reader gives scripts none of a multilayer file's channels.
    """
    data = path.read_bytes()
    several = bool(data[5] & 0x10)
    at, parts = 8, []
    while data[at]:
        header, at = read_exr_header(data, at)
        assert header[b"compression"] == b"\0"
        parts.append((exr_channels(header[b"channels"]), []))
        left, top, right, bottom = np.frombuffer(header[b"dataWindow"], np.int32)
        at += 0 if several else -1
    lines = (bottom - top + 1) * len(parts)
    at += 1 + 8 * lines
    for _ in range(lines):
        part = int.from_bytes(data[at : at + 4], "little") if several else 0
        at += 4 if several else 0
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        parts[part][1].append(
            np.frombuffer(data, np.float32, size // 4, at + 8).reshape(-1, right - left + 1)
        )
        at += 8 + size
    return {
        name: image
        for names, rows in parts
        for name, image in zip(names, np.stack(rows, axis=1), strict=True)
    }


def read_exr_header(data: bytes, at: int) -> tuple[dict[bytes, bytes], int]:
    """The attributes of one part, and where the next begins."""
    header = {}
    while data[at]:
        name, kind = data[at : at + 64].split(b"\0")[:2]
        at += len(name) + len(kind) + 2
        size = int.from_bytes(data[at : at + 4], "little")
        header[name] = data[at + 4 : at + 4 + size]
        at += 4 + size
    return header, at + 1


def exr_channels(value: bytes) -> list[str]:
    names = []
    while value[0]:
        name, value = value.split(b"\0", 1)
        assert value[0] == 2, "not 32-bit floats"
        names.append(name.decode())
        value = value[16:]
    return names
