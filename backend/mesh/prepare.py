"""The first stage: weld, clean, normalise, and give the surface UVs."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from trimesh.grouping import unique_rows

from ..api.errors import InvalidMesh
from ..api.job import MeshData
from .surface import Surface, smooth_normals, triangle_areas
from .tiles import gather, tile_size
from .unwrap.unwrap import unwrap
from .uvs import why_unusable

WELD_DISTANCE = 1e-6
"""Vertices closer than this, in parts of the longest side, become one."""

SMALLEST_AREA = 1e-13
"""Triangles smaller than this, in squares of the longest side, have no place in a texture."""


def prepare(mesh: MeshData, texture_size: int, progress: Callable[[float], None]) -> Surface:
    """The surface of a mesh, with the mesh's own UVs where they are usable, else with new ones.

    Raises:
        InvalidMesh: nothing is left after cleaning.
    """
    surface = clean(mesh)
    progress(0.1)
    reason = why_unusable(None if mesh.corner_uvs is None else surface.corner_uvs)
    if reason is None:
        uvs, tiles = gather(surface.corner_uvs)
        notes = surface.notes
        if len(tiles) > 1:
            size = tile_size(tiles, texture_size)
            notes = (
                *notes,
                f"The UV map's {len(tiles)} UDIM tiles were kept, with a texture of {size} x {size} each.",
            )
        return replace(surface, corner_uvs=uvs, tiles=tiles, notes=notes)
    polygons = surface.source if mesh.polygons is None else mesh.polygons[surface.source]
    uvs = unwrap(
        surface.vertices,
        surface.faces,
        polygons,
        texture_size,
        lambda fraction: progress(0.1 + 0.9 * fraction),
    )
    return replace(
        surface, corner_uvs=uvs, unwrapped=True, notes=(*surface.notes, f"New UVs were made: {reason}.")
    )


def clean(mesh: MeshData) -> Surface:
    """The surface of a mesh, welded, without broken triangles, normalised; its UVs are the mesh's own as they
    are, 0 where it has none.

    Raises:
        InvalidMesh: nothing is left.
    """
    notes = []
    kept = np.isfinite(mesh.vertices).all(axis=1)[mesh.faces].all(axis=1)
    if broken := int((~kept).sum()):
        notes.append(f"{broken:,} triangles with NaN or infinite vertices were left out.")
    if not kept.any():
        raise InvalidMesh(
            "Every face of the mesh has a NaN or infinite vertex. Repair its vertex positions first."
        )
    vertices, faces = weld(normalise(mesh.vertices, mesh.faces[kept]), mesh.faces[kept])
    solid = triangle_areas(vertices, faces) > SMALLEST_AREA
    if not solid.any():
        raise InvalidMesh(
            "No face of the mesh has an area. Check that its vertices do not all lie on one line."
        )
    if thin := int((~solid).sum()):
        notes.append(f"{thin:,} triangles without area were left out.")
    source = np.flatnonzero(kept)[solid].astype(np.int32)
    faces = faces[solid]
    normals = smooth_normals(vertices, faces)
    if mesh.corner_normals is not None:
        normals = _sound_normals(mesh.corner_normals[source], normals)
    uvs = np.zeros((len(faces), 3, 2), np.float32) if mesh.corner_uvs is None else mesh.corner_uvs[source]
    slots = None if mesh.slots is None else mesh.slots[source]
    return Surface(vertices, faces, normals, uvs, source, False, tuple(notes), slots=slots)


def normalise(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) float32: the vertices that the faces use, moved and scaled so that their box is centred at 0
    with longest side 1.

    Raises:
        InvalidMesh: the box has no size, or is too large for float32.
    """
    used = vertices[np.unique(faces)].astype(np.float64)
    low, high = used.min(axis=0), used.max(axis=0)
    size = (high - low).max()
    if not 0 < size < 1e30:
        raise InvalidMesh(
            "All faces of the mesh lie in one point."
            if size == 0
            else "The mesh is too large to work with. Scale it down first."
        )
    with np.errstate(invalid="ignore", over="ignore"):
        return ((vertices - (low + high) / 2) / size).astype(np.float32)


def weld(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(vertices, faces)`` of the same triangles with one vertex per place, unused vertices gone.

    The vertices stay in order, so that those of a triangle stay near one another in memory: with a million
    triangles the z-buffer is 2.5 times as slow when they do not.
    """
    used, faces = np.unique(faces, return_inverse=True)
    places = np.round(vertices[used].astype(np.float64) / WELD_DISTANCE).astype(np.int64)
    first, inverse = unique_rows(places, keep_order=True)
    return np.ascontiguousarray(vertices[used][first]), inverse[faces].reshape(-1, 3).astype(np.int32)


def job_uvs(surface: Surface, mesh: MeshData) -> np.ndarray:
    """(F, 3, 2) float32: the surface's UVs for every triangle of the job, in the job's order.

    A triangle that cleaning left out takes the UVs of its polygon's other corners on the same vertices, else
    (0, 0).
    """
    uvs = np.zeros((len(mesh.faces), 3, 2), np.float32)
    uvs[surface.source] = surface.corner_uvs
    if len(surface.source) == len(mesh.faces) or mesh.polygons is None:
        return uvs
    corner = mesh.polygons[:, None].astype(np.int64) * len(mesh.vertices) + mesh.faces
    known = np.zeros(len(mesh.faces), bool)
    known[surface.source] = True
    keys, first = np.unique(corner[known], return_index=True)
    slot = np.minimum(np.searchsorted(keys, corner[~known]), len(keys) - 1)
    found = keys[slot] == corner[~known]
    uvs[~known] = np.where(found[..., None], uvs[known].reshape(-1, 2)[first][slot], 0.0)
    return uvs


def _sound_normals(given: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(F, 3, 3) float32: the given corner normals, but our own where those are not unit vectors."""
    sound = np.abs(np.linalg.norm(given, axis=2, keepdims=True) - 1) < 0.1
    return np.where(sound, given, own).astype(np.float32)
