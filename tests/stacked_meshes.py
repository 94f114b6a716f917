"""Meshes whose parts share their UVs, and halves of meshes."""

import numpy as np
import trimesh
from trimesh.intersections import slice_faces_plane

from backend.api.job import MeshData


def half_body() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, faces and corner UVs without overlap of a bumpy sheet that ends at x = 0."""
    v, u = np.meshgrid(*[np.linspace(0, 1, 13)] * 2)
    points = np.stack([u, 0.3 * np.sin(5 * u + 2 * v), 1.3 * v + 0.1 * u * u], axis=-1).reshape(-1, 3)
    corner = np.arange(13 * 13).reshape(13, 13)
    a, b, c, d = (
        each.ravel() for each in (corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:])
    )
    faces = np.concatenate([np.column_stack([a, b, c]), np.column_stack([a, c, d])])
    uvs = np.stack([u, v], axis=-1).reshape(-1, 2) * 0.9 + 0.05
    return points, faces, uvs[faces]


def copy_mesh(*transforms: np.ndarray, mesh=None) -> MeshData:
    """The mesh once per transform (3, 4), with the same UVs; mirrored faces are turned outwards again."""
    points, faces, uvs = mesh or half_body()
    parts, start = [], 0
    for transform in transforms:
        step = -1 if np.linalg.det(transform[:, :3]) < 0 else 1
        moved = points @ transform[:, :3].T + transform[:, 3]
        parts.append((moved, faces[:, ::step] + start, uvs[:, ::step]))
        start += len(points)
    vertices, faces, uvs = (np.concatenate(each) for each in zip(*parts, strict=True))
    return MeshData(
        vertices.astype(np.float32), faces.astype(np.int32), corner_uvs=np.ascontiguousarray(uvs, np.float32)
    )


def move(*shift: float, mirror=(1, 1, 1), turn: float = 0.0) -> np.ndarray:
    """(3, 4) of a mirroring along axes, a turn in degrees about z, and a shift."""
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) * mirror
    return np.column_stack([rotation, shift or (0, 0, 0)])


def join(*meshes: MeshData) -> MeshData:
    """One mesh of several with UVs."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return MeshData(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]).astype(
            np.int32
        ),
        corner_uvs=np.concatenate([mesh.corner_uvs for mesh in meshes]),
    )


def cut(mesh: trimesh.Trimesh, normal, origin=(0, 0, 0)) -> trimesh.Trimesh:
    """The part of a mesh on the side of a plane to which the normal points, left open."""
    vertices, faces, _ = slice_faces_plane(
        mesh.vertices, mesh.faces, np.array(normal, float), np.array(origin, float)
    )
    return trimesh.Trimesh(vertices, faces)


def body() -> trimesh.Trimesh:
    """A body that is symmetric in x."""
    head = trimesh.creation.icosphere(3, 0.35)
    head.apply_translation((0, 0.1, 0.9))
    arms = trimesh.creation.box((2.2, 0.2, 0.2))
    return trimesh.util.concatenate([trimesh.creation.box((1, 0.6, 1.2)), head, arms])
