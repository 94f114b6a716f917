"""The first stage: weld, clean, normalise, and give the surface UVs."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from trimesh.grouping import unique_rows

from ..api.errors import InvalidMesh
from ..api.job import MeshData
from .copies import find_layers, lay_side_by_side
from .edges import half_edge_lengths
from .surface import Surface, smooth_normals, triangle_areas
from .tiles import gather_tiles, tile_size
from .unwrap.unwrap import unwrap
from .uvs import OVERLAP, why_unusable

WELD_DISTANCE = 1e-6
"""Grid in units of the longest side; vertices that round to one point of it become one."""

MIN_TRIANGLE_HEIGHT = WELD_DISTANCE
"""Triangles lower than this over their longest edge are left out: they hold no texel."""


def prepare(mesh: MeshData, texture_size: int, progress: Callable[[float], None]) -> Surface:
    """The surface of a mesh, with the mesh's own UVs where they are usable, else with new ones.

    Raises:
        InvalidMesh: nothing is left after cleaning.
    """
    surface = clean(mesh)
    progress(0.1)
    reason = why_unusable(None if mesh.corner_uvs is None else surface.corner_uvs)
    layers = find_layers(surface) if reason == OVERLAP else None
    if layers is not None:
        laid = lay_side_by_side(surface, layers, texture_size)
        note = (
            f"{layers.max() + 1} copies share the UV map, as under a Mirror or Array modifier. The whole was "
            "painted; each texel has what the picture shows best."
        )
        return replace(laid, notes=(*surface.notes, note))
    if reason is None:
        uvs, tiles = gather_tiles(surface.corner_uvs)
        notes = surface.notes
        if len(tiles) > 1:
            size = tile_size(tiles, texture_size)
            notes = (
                *notes,
                f"The UV map's {len(tiles)} UDIM tiles were kept, with a texture of {size} x {size} each.",
            )
        return replace(surface, corner_uvs=uvs, tiles=tiles, notes=notes)
    polygons = surface.job_faces if mesh.polygons is None else mesh.polygons[surface.job_faces]
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
    """The surface of a mesh, welded, without broken triangles, normalised; its UVs are the mesh's own,
    unchanged, or 0 where it has none.

    Raises:
        InvalidMesh: nothing is left.
    """
    notes = []
    # Triangles without a finite position.
    kept = np.isfinite(mesh.vertices).all(axis=1)[mesh.faces].all(axis=1)
    if broken := int((~kept).sum()):
        notes.append(f"{broken:,} triangles with NaN or infinite vertices were left out.")
    if not kept.any():
        raise InvalidMesh(
            "Every face of the mesh has a NaN or infinite vertex. Repair its vertex positions first."
        )
    vertices, faces = weld(normalise(mesh.vertices, mesh.faces[kept]), mesh.faces[kept])
    # Triangles without area, or nearly so.
    solid = _heights(vertices, faces) > MIN_TRIANGLE_HEIGHT
    if not solid.any():
        raise InvalidMesh(
            "No face of the mesh has an area, or all are too thin. Check that its vertices do not all lie on "
            "one line."
        )
    if thin := int((~solid).sum()):
        notes.append(f"{thin:,} triangles without area, or thinner than any texel, were left out.")
    # What the job gave per corner and per face, of the triangles that are left.
    job_faces = np.flatnonzero(kept)[solid].astype(np.int32)
    faces = faces[solid]
    normals = smooth_normals(vertices, faces)
    if mesh.corner_normals is not None:
        normals = _repair_normals(mesh.corner_normals[job_faces], normals)
    uvs = np.zeros((len(faces), 3, 2), np.float32) if mesh.corner_uvs is None else mesh.corner_uvs[job_faces]
    slots = None if mesh.slots is None else mesh.slots[job_faces]
    return Surface(
        vertices=vertices,
        faces=faces,
        corner_normals=normals,
        corner_uvs=uvs,
        job_faces=job_faces,
        unwrapped=False,
        notes=tuple(notes),
        slots=slots,
    )


def normalise(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) float32: the vertices that the faces use, moved and scaled so that their box is centred at 0
    with longest side 1.

    Raises:
        InvalidMesh: the box has no size, or is too large for float32.
    """
    center, size = find_box(vertices, faces)
    if not 0 < size < 1e30:
        raise InvalidMesh(
            "All faces of the mesh lie in one point."
            if size == 0
            else "The mesh is too large to work with. Scale it down first."
        )
    with np.errstate(invalid="ignore", over="ignore"):
        return ((vertices - center) / size).astype(np.float32)


def find_box(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, float]:
    """The centre (3,) float64 and the longest side of the box around the vertices that the faces use."""
    used = vertices[np.unique(faces)].astype(np.float64)
    low, high = used.min(axis=0), used.max(axis=0)
    return (low + high) / 2, (high - low).max()


def weld(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(vertices, faces)`` of the same triangles with one vertex per position, unused vertices left out.

    The vertices keep their order, so that those of a triangle stay near one another in memory: with a million
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
    uvs[surface.job_faces] = surface.corner_uvs
    if len(surface.job_faces) == len(mesh.faces) or mesh.polygons is None:
        return uvs
    # A key per polygon and vertex; the corners that have UVs, by key.
    corner = mesh.polygons[:, None].astype(np.int64) * len(mesh.vertices) + mesh.faces
    known = np.zeros(len(mesh.faces), bool)
    known[surface.job_faces] = True
    keys, first = np.unique(corner[known], return_index=True)
    match = np.minimum(np.searchsorted(keys, corner[~known]), len(keys) - 1)
    found = keys[match] == corner[~known]
    uvs[~known] = np.where(found[..., None], uvs[known].reshape(-1, 2)[first][match], 0.0)
    return uvs


def _heights(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F,) float64: the height of each triangle over its longest edge; 0 where that has no length."""
    longest = half_edge_lengths(vertices, faces).reshape(-1, 3).max(axis=1)
    return 2 * triangle_areas(vertices, faces) / np.maximum(longest, 1e-30)


def _repair_normals(given: np.ndarray, computed: np.ndarray) -> np.ndarray:
    """(F, 3, 3) float32: the given corner normals, the computed ones where those are not unit vectors."""
    with np.errstate(over="ignore"):
        sound = np.abs(np.linalg.norm(given, axis=2, keepdims=True) - 1) < 0.1
    return np.where(sound, given, computed).astype(np.float32)
