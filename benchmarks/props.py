"""Procedural props with a known truth: a striped pot, a box covered with text, a plaid knot."""

import numpy as np
import trimesh

from backend.render.photograph import texture_lookup

from .scenes import Scene, surface_of, text_page, textured_scene, tube

CREAM = np.array((236, 222, 190), np.float32)
RUST = np.array((176, 74, 44), np.float32)
NAVY = np.array((38, 52, 96), np.float32)
SAGE = np.array((120, 148, 110), np.float32)


def striped_pot(around: int = 192, along: int = 220) -> Scene:
    """A pot with spout and handle: bands at some heights, upright stripes between them, in a slightly uneven
    glaze."""
    body = _revolved_pot(around, along)
    turn = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 60)
    handle = _pipe(
        np.column_stack([-0.55 - 0.35 * np.cos(turn), 0 * turn, 0.45 + 0.32 * np.sin(turn)]),
        np.full(60, 0.06),
    )
    rise = np.linspace(0, 1, 40)
    spout = _pipe(np.column_stack([0.5 + 0.45 * rise, 0 * rise, 0.25 + 0.5 * rise**1.5]), 0.13 - 0.07 * rise)
    surface = surface_of(*_arrays(trimesh.util.concatenate([body, handle, spout])))
    return Scene("pot", surface, lambda face, weights, points: _glaze_color(points))


def _glaze_color(points: np.ndarray) -> np.ndarray:
    x, y, z = points.astype(np.float64).T
    angle = np.arctan2(y, x)
    unevenness = np.sin(31 * x + 3) * np.sin(27 * y + 1) * np.sin(25 * z)
    color = np.tile(CREAM, (len(points), 1))
    color[np.sin(24 * angle) > 0.2] = SAGE
    for low, high, paint in (
        (-0.24, -0.16, NAVY),
        (-0.13, -0.11, RUST),
        (0.1, 0.13, RUST),
        (0.16, 0.2, NAVY),
    ):
        color[(z > low) & (z < high)] = paint
    return np.clip(color + 10 * unevenness[:, None], 3, 252).astype(np.float32)


def text_box() -> Scene:
    """A carton with text on its six faces, upright, each with other words."""
    box = trimesh.creation.box((0.8, 0.5, 1.0))
    vertices, faces = np.asarray(box.vertices), np.asarray(box.faces)
    normal, corner = np.asarray(box.face_normals), vertices[faces]
    # Each face's axis and sign, and the positions of its corners on it, to the right and upwards.
    main = np.abs(normal).argmax(axis=1)
    sign = normal[np.arange(len(faces)), main]
    across = np.where(
        (main == 0)[:, None],
        corner[..., 1] * sign[:, None],
        np.where((main == 1)[:, None], -corner[..., 0] * sign[:, None], corner[..., 0]),
    )
    up = np.where((main == 2)[:, None], corner[..., 1] * sign[:, None], corner[..., 2])
    face_number = 2 * main + (sign > 0)
    uvs = np.stack([across + 0.5 + 0.55 * face_number[:, None], up + 0.5], axis=2) / (4.5, 1)
    for _ in range(5):
        vertices, faces, uvs = _subdivide(vertices, faces, uvs)
    return textured_scene("text box", vertices, faces, uvs, text_page(4608, 1024))


def plaid_knot(length: int = 700, around: int = 64) -> Scene:
    """A torus knot in a woven plaid that follows the tube."""
    mesh, uvs = tube(length, around)
    surface = surface_of(np.asarray(mesh.vertices), np.asarray(mesh.faces))
    weave = texture_lookup(
        uvs[surface.job_faces] * (1, 1), [_plaid(4608, 512)], np.zeros(len(surface.faces), int)
    )
    return Scene("plaid knot", surface, weave)


def _plaid(width: int, height: int) -> np.ndarray:
    """(H, W, 3) uint8: a tartan, bands of both threads mixed where they cross."""

    def threads(count: int, repeats: int) -> np.ndarray:
        place = np.arange(count) * repeats / count % 1
        color = np.tile(RUST, (count, 1))
        color[(place > 0.45) & (place < 0.75)] = NAVY
        color[(place > 0.1) & (place < 0.15)] = CREAM
        return color

    return (0.5 * threads(width, 36)[None] + 0.5 * threads(height, 4)[:, None]).astype(np.uint8)


def _subdivide(
    vertices: np.ndarray, faces: np.ndarray, uvs: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every triangle split into four, with its corner UVs; corners are not shared."""
    corner = np.concatenate([vertices[faces], uvs], axis=2)
    a, b, c = corner[:, 0], corner[:, 1], corner[:, 2]
    ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
    corner = np.concatenate(
        [np.stack(corners, axis=1) for corners in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
    )
    return corner[..., :3].reshape(-1, 3), np.arange(3 * len(corner)).reshape(-1, 3), corner[..., 3:]


def _revolved_pot(around: int, along: int) -> trimesh.Trimesh:
    t = np.linspace(0, 1, along)
    radius = (0.42 + 0.22 * np.sin(np.pi * t**0.8)) * np.minimum(
        1, np.sqrt(np.clip(1 - (2 * t - 1) ** 12, 0, 1))
    )
    return trimesh.creation.revolve(np.column_stack([radius, t]), sections=around)


def _pipe(centre: np.ndarray, radius: np.ndarray, around: int = 32) -> trimesh.Trimesh:
    """A tube along points (N, 3) that lie in the plane y = 0."""
    tangent = np.gradient(centre, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    side, angle = np.array([0.0, 1.0, 0.0]), np.linspace(0, 2 * np.pi, around, endpoint=False)
    up = np.cross(tangent, side)
    ring = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * up[:, None]
    vertices = centre[:, None] + radius[:, None, None] * ring
    i, j = (
        grid.ravel() for grid in np.meshgrid(np.arange(len(centre) - 1), np.arange(around), indexing="ij")
    )
    a, b = i * around + j, i * around + (j + 1) % around
    faces = np.concatenate(
        [np.column_stack([a, a + around, b]), np.column_stack([b, a + around, b + around])]
    )
    mesh = trimesh.Trimesh(vertices.reshape(-1, 3), faces, process=False)
    mesh.fix_normals()
    return mesh


def _arrays(mesh: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)
