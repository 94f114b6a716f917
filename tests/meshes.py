"""Small real meshes, and references, bakes and renderings of them, for the tests."""

import io
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from backend.align.align import AlignConfig, align
from backend.api.job import Job, MeshData
from backend.api.settings import Settings
from backend.bake.bake import Texture, bake
from backend.fuse.observations import PaintedViews
from backend.mesh.prepare import prepare
from backend.mesh.surface import Surface
from backend.mesh.uvs import rasterize_atlas
from backend.render.camera import Camera, look_at_origin
from backend.render.rasterize import positions, rasterize
from backend.render.sample import sample_bilinear

ASSETS = Path(__file__).resolve().parents[2] / "shared" / "assets"
needs_assets = pytest.mark.skipif(
    not ASSETS.is_dir(), reason="the shared test meshes are not beside this checkout"
)


def mesh_data(mesh: trimesh.Trimesh) -> MeshData:
    return MeshData(np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.int32))


def knot() -> trimesh.Trimesh:
    """A thick trefoil tube with a bump: no symmetry, self-occluding."""
    t = np.linspace(0, 2 * np.pi, 160, endpoint=False)
    centre = np.column_stack(
        [np.sin(t) + 2 * np.sin(2 * t), np.cos(t) - 2 * np.cos(2 * t), -1.6 * np.sin(3 * t) + 0.8 * np.cos(t)]
    )
    tangent = np.roll(centre, -1, 0) - np.roll(centre, 1, 0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    side = np.cross(tangent, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(side, tangent)
    around = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radius = 0.55 + 0.25 * np.exp(-(((t - 1.0) / 0.4) ** 2))
    ring = np.cos(around)[:, None] * side[:, None] + np.sin(around)[:, None] * up[:, None]
    vertices = (centre[:, None] + radius[:, None, None] * ring).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(160), np.arange(24), indexing="ij")
    a, b = i * 24 + j, i * 24 + (j + 1) % 24
    c, d = (i + 1) % 160 * 24 + j, (i + 1) % 160 * 24 + (j + 1) % 24
    faces = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])
    return trimesh.Trimesh(vertices, faces, process=False)


def surface_of(mesh: trimesh.Trimesh) -> Surface:
    return prepare(mesh_data(mesh), 1024, ignore_progress)


def ignore_progress(fraction: float) -> None:
    pass


def decode_png(png: np.ndarray) -> np.ndarray:
    """The pixels of an image file (N,) uint8."""
    with Image.open(io.BytesIO(png.tobytes())) as image:
        return np.asarray(image)


def run_at_once(part: str, work):
    """For painters of which nothing has to be kept."""
    return work()


def camera_at(
    azimuth: float, elevation: float, size: int = 512, distance: float = 2.2, focal: float = 1.3
) -> Camera:
    rotation = look_at_origin(azimuth, elevation)
    return Camera(rotation, distance * rotation[:, 2], focal, width=size, height=size)


def paint_solid(points: np.ndarray) -> np.ndarray:
    """(N, 3) float32 0..255: stripes, checks and blots of strong colours in space, none of them dark or
    magenta."""
    x, y, z = (points * 9).T
    stripes = np.where(np.sin(3 * x + z) > 0, 1.0, 0.0)
    checks = np.where((np.floor(x) + np.floor(y) + np.floor(z)) % 2 == 0, 1.0, 0.0)
    red, green, blue = (
        90 + 150 * stripes,
        120 + 120 * checks,
        90 + 60 * (points[:, 2] > 0) + 60 * (points[:, 0] > 0),
    )
    return np.column_stack([np.minimum(red, 240), green, blue]).astype(np.float32)


def reference_image(surface: Surface, camera: Camera, background=(255, 0, 255)) -> np.ndarray:
    """(H, W, 4) uint8 RGBA of the solidly painted surface, anti-aliased 2 x 2, with a telling colour under
    alpha 0."""
    fine = Camera(
        camera.rotation, camera.position, camera.focal, camera.centre, 2 * camera.width, 2 * camera.height
    )
    buffer = rasterize(surface.vertices, surface.faces, fine)
    color = np.tile(np.float32(background), (*buffer.face.shape, 1))
    color[buffer.mask] = paint_solid(positions(buffer)[buffer.mask])
    mask = buffer.mask.astype(np.float32)[..., None]
    weighted = (color * mask).reshape(camera.height, 2, camera.width, 2, 3).sum(axis=(1, 3))
    alpha = mask.reshape(camera.height, 2, camera.width, 2, 1).sum(axis=(1, 3))
    straight = np.where(alpha > 0, weighted / np.maximum(alpha, 1), np.float32(background))
    return np.round(np.concatenate([straight, alpha * 63.75], axis=2)).astype(np.uint8)


def render_textured(
    surface: Surface, corner_uvs: np.ndarray, texture: np.ndarray, camera: Camera
) -> tuple[np.ndarray, np.ndarray]:
    """``(mask, image)`` of a surface with a texture (S, S, 3), read bilinearly as Blender does."""
    buffer = rasterize(surface.vertices, surface.faces, camera)
    weights = np.concatenate([buffer.barycentric, 1 - buffer.barycentric.sum(axis=2, keepdims=True)], axis=2)
    uvs = np.einsum("hwc,hwcx->hwx", weights, corner_uvs[buffer.face])
    size = texture.shape[0]
    pixels = np.column_stack([uvs[..., 0].ravel() * size, (1 - uvs[..., 1].ravel()) * size]).astype(
        np.float64
    )
    return buffer.mask, sample_bilinear(texture, pixels).reshape(*buffer.face.shape, 3)


def true_texture(surface: Surface, size: int) -> np.ndarray:
    """(S, S, 3) float32: texels coloured straight from :func:`paint_solid`."""
    face, barycentric = rasterize_atlas(surface.corner_uvs, size)
    on = face >= 0
    weights = np.concatenate([barycentric[on], 1 - barycentric[on].sum(axis=1, keepdims=True)], axis=1)
    image = np.zeros((size, size, 3), np.float32)
    image[on] = paint_solid(np.einsum("nc,ncx->nx", weights, surface.vertices[surface.faces[face[on]]]))
    return image


def points_on_seams(surface: Surface, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) pixels of an atlas for the same places of the surface, in the one and in the other triangle of
    every edge cut in UV space."""
    pairs, edges = trimesh.graph.face_adjacency(surface.faces, return_edges=True)
    sides = []
    for faces in pairs.T:
        corners = [(surface.faces[faces] == edges[:, [end]]).argmax(axis=1) for end in (0, 1)]
        sides.append(
            np.stack([surface.corner_uvs[faces, corner] for corner in corners], axis=1) * (1, -1) + (0, 1)
        )
    cut = np.abs(sides[0] - sides[1]).max(axis=(1, 2)) > 1e-6
    t = np.linspace(0, 1, 25)[:, None]
    return tuple(
        (side[cut, None, 0] * (1 - t) + side[cut, None, 1] * t).reshape(-1, 2) * size for side in sides
    )


def seam_differences(surface: Surface, image: np.ndarray) -> np.ndarray:
    """(N,) float32: largest difference of a channel between the two sides of UV seams in an atlas (S, S, C),
    read as a renderer does."""
    one, other = (sample_bilinear(image, pixels) for pixels in points_on_seams(surface, len(image)))
    return np.abs(one - other).max(axis=1)


def bake_frames(
    surface: Surface,
    buffers: list,
    frames: list,
    preference: np.ndarray,
    size: int,
    resolution: int,
) -> Texture:
    """The texture that the bake makes of frames without aligning them."""
    painted = PaintedViews.of(surface, buffers, preference)
    alignment = align(surface, painted, frames, ignore_progress, AlignConfig(rounds=()))
    return bake(
        surface,
        painted,
        alignment,
        size=size,
        voxel_resolution=resolution,
        seed=0,
        progress=ignore_progress,
    )


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Decibels between colours 0..255."""
    return float(-10 * np.log10(np.mean(((a.astype(np.float64) - b) / 255) ** 2)))


def job(mesh: MeshData, reference: np.ndarray, **settings) -> Job:
    return Job("0" * 32, "thing", mesh, reference, Settings(**settings))


def cast_rays(origins: np.ndarray, directions: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(N,) distance in ``directions`` to the nearest of triangles (F, 3, 3), infinite for a miss: every ray
    against every triangle."""
    nearest = np.full(len(origins), np.inf)
    a, ab, ac = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    for k, (origin, direction) in enumerate(zip(origins, directions, strict=True)):
        p = np.cross(direction, ac)
        determinant = np.einsum("fx,fx->f", ab, p)
        with np.errstate(divide="ignore", invalid="ignore"):
            u = np.einsum("fx,fx->f", origin - a, p) / determinant
            q = np.cross(origin - a, ab)
            v = q @ direction / determinant
            distance = np.einsum("fx,fx->f", ac, q) / determinant
        hits = distance[(u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 1e-9)]
        nearest[k] = hits.min() if len(hits) else np.inf
    return nearest


def picture_of(
    mesh: trimesh.Trimesh, azimuth: float = 30, elevation: float = 15, size: int = 384
) -> np.ndarray:
    """A reference (H, W, 4) uint8 of a painted mesh from an angle."""
    return reference_image(surface_of(mesh), camera_at(azimuth, elevation, size))
