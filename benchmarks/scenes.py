"""Textured meshes whose truth is known: a surface and a function that colours any point of it."""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image, ImageDraw, ImageFont

from backend.api.job import MeshData
from backend.mesh.prepare import prepare
from backend.mesh.surface import Surface
from backend.render.camera import Camera
from backend.render.photograph import SurfaceColor, photograph, texture_lookup

ASSETS = Path(__file__).resolve().parents[2] / "shared" / "assets"


@dataclass(frozen=True)
class Scene:
    """A surface and its true colours.

    Attributes:
        name: for the table.
        surface: normalised, with UVs.
        color: the function that colours any point of it.
    """

    name: str
    surface: Surface
    color: SurfaceColor

    def photograph(self, camera: Camera, samples: int = 3) -> np.ndarray:
        """(H, W, 3) float32 sRGB 0..255: the truth from a camera, ``samples`` squared samples per pixel,
        black background."""
        return photograph(self.surface, self.color, camera, samples)


def suzanne() -> Scene:
    """Blender's monkey, subdivided to 62,976 triangles, under a procedural pattern with details of all
    sizes."""
    return Scene("suzanne", surface_of(*_subdivided_monkey()), lambda face, weights, points: pattern(points))


def text_knot(length: int = 480, around: int = 48) -> Scene:
    """A self-occluding tube covered with small text."""
    mesh, uvs = tube(length, around)
    return textured_scene(
        "text knot", np.asarray(mesh.vertices), np.asarray(mesh.faces), uvs, text_page(4096, 1024)
    )


def real_mesh(name: str) -> Scene:
    """``spot`` or ``fuze`` of the shared assets, with the artist's UVs and texture; spot is subdivided to
    93,696 triangles."""
    folder = ASSETS / name
    mesh = trimesh.load(next(folder.glob("*.obj")), process=False, force="mesh")
    image = np.asarray(
        Image.open(next(path for path in folder.iterdir() if path.suffix in (".png", ".jpg"))).convert("RGB")
    )
    vertices, faces, uvs = np.asarray(mesh.vertices), np.asarray(mesh.faces), np.asarray(mesh.visual.uv)
    for _ in range(2 if name == "spot" else 0):
        joined, faces = trimesh.remesh.subdivide(np.hstack([vertices, uvs]), faces)
        vertices, uvs = joined[:, :3], joined[:, 3:]
    # The files' axis Y points up.
    vertices = vertices[:, [0, 2, 1]] * (1, -1, 1)
    return textured_scene(name, vertices, faces, uvs[faces], image)


def pattern(points: np.ndarray) -> np.ndarray:
    """(N, 3) float32 sRGB 0..255 for points (N, 3): clouds, stripes, hard-edged spots and fine grain in
    space, down to a few pixels."""
    p = points.astype(np.float64)
    clouds = [np.sin(p @ direction * frequency + phase) for direction, frequency, phase in _WAVES]
    stripes = np.tanh(20 * np.sin(p @ (90.0, 55.0, 120.0) + 2 * clouds[0]))
    spots = np.tanh(40 * (np.sin(100 * p[:, 0]) * np.sin(100 * p[:, 1]) * np.sin(100 * p[:, 2]) - 0.2))
    grain = sum(np.sin(p @ direction * 420 + phase) for direction, _, phase in _WAVES)
    red = 125 + 25 * clouds[0] + 20 * clouds[1] + 40 * stripes + 9 * grain
    green = 120 + 25 * clouds[2] + 15 * clouds[3] + 35 * stripes - 30 * spots + 9 * grain
    blue = 115 + 30 * clouds[4] + 15 * clouds[1] + 50 * spots + 9 * grain
    return np.clip(np.column_stack([red, green, blue]), 3, 252).astype(np.float32)


_random = np.random.default_rng(11)
_WAVES = [
    (direction / np.linalg.norm(direction), frequency, phase)
    for direction, frequency, phase in zip(
        _random.normal(size=(5, 3)), (9, 21, 33, 60, 15), _random.uniform(0, 6, 5), strict=True
    )
]


def tube(length: int, around: int) -> tuple[trimesh.Trimesh, np.ndarray]:
    """A trefoil tube of ``2 * length * around`` triangles, and corner UVs (F, 3, 2) with u along it."""
    t = np.linspace(0, 2 * np.pi, length, endpoint=False)
    centre = np.column_stack(
        [np.sin(t) + 2 * np.sin(2 * t), np.cos(t) - 2 * np.cos(2 * t), -1.6 * np.sin(3 * t)]
    )
    tangent = np.roll(centre, -1, 0) - np.roll(centre, 1, 0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    side = np.cross(tangent, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(side, tangent)
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False)
    vertices = centre[:, None] + 0.6 * (
        np.cos(angle)[:, None] * side[:, None] + np.sin(angle)[:, None] * up[:, None]
    )
    i, j = (grid.ravel() for grid in np.meshgrid(np.arange(length), np.arange(around), indexing="ij"))
    corner = np.array([[(0, 0), (1, 0), (0, 1)], [(0, 1), (1, 0), (1, 1)]])
    steps = np.stack([i, j], axis=1)[:, None, None] + corner
    faces = (steps[..., 0] % length * around + steps[..., 1] % around).reshape(-1, 3)
    uvs = (steps / (length, around)).reshape(-1, 3, 2)
    return trimesh.Trimesh(vertices.reshape(-1, 3), faces, process=False), uvs


def text_page(width: int, height: int) -> np.ndarray:
    """(H, W, 3) uint8 sRGB: lines of dark text on a light, slightly mottled background."""
    random = np.random.default_rng(5)
    mottled = Image.fromarray(random.integers(200, 250, (16, 64, 3), np.uint8))
    page = mottled.resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(page)
    words = ("Orbit", "Texture", "paints", "what", "it", "sees", "and", "keeps", "agrees", "0123456789")
    font = ImageFont.load_default(size=height // 12)
    for line in range(8):
        text = " ".join(random.choice(words) for _ in range(60))
        draw.text(
            (-20 * line, (line + 0.15) * height / 8),
            text,
            fill=tuple(int(c) for c in random.integers(10, 110, 3)),
            font=font,
        )
    return np.asarray(page)


def surface_of(vertices: np.ndarray, faces: np.ndarray) -> Surface:
    """A surface that is unwrapped here."""
    return prepare(MeshData(vertices.astype(np.float32), faces.astype(np.int32)), 2048, lambda fraction: None)


def textured_scene(
    name: str, vertices: np.ndarray, faces: np.ndarray, corner_uvs: np.ndarray, image: np.ndarray
) -> Scene:
    """A mesh textured with one image, by corner UVs (F, 3, 2)."""
    surface = surface_of(vertices, faces)
    return Scene(
        name,
        surface,
        texture_lookup(corner_uvs[surface.job_faces], [image], np.zeros(len(surface.faces), int)),
    )


def _subdivided_monkey() -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles, from Blender's Python module in a process of its own."""
    from installer import blenders

    program = blenders.newest_module().program
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "monkey.py"
        script.write_text(_MONKEY)
        subprocess.run([program, script, Path(folder) / "monkey.npz"], check=True, stdout=sys.stderr)
        with np.load(Path(folder) / "monkey.npz", allow_pickle=False) as arrays:
            return arrays["vertices"], arrays["faces"]


_MONKEY = """
import sys, bpy, numpy as np
bpy.ops.mesh.primitive_monkey_add()
monkey = bpy.context.object
for kind in ("SUBSURF", "TRIANGULATE"):
    modifier = monkey.modifiers.new(kind, kind)
    if kind == "SUBSURF":
        modifier.levels = 3
mesh = monkey.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
vertices, faces = np.empty(3 * len(mesh.vertices), np.float32), np.empty(3 * len(mesh.polygons), np.int32)
mesh.vertices.foreach_get("co", vertices)
mesh.loops.foreach_get("vertex_index", faces)
np.savez(sys.argv[1], vertices=vertices.reshape(-1, 3), faces=faces.reshape(-1, 3))
"""
