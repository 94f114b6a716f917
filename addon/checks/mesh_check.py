"""What is wrong with a mesh's faces and its UV map, found with numpy alone. No bpy here."""

from dataclasses import dataclass

import numpy as np

SIZE = 256
"""Texels along a side of the unit square, for the search for overlaps."""

OVERLAP_TOLERANCE = 0.002
"""Share of covered texels that may lie on two triangles, as the worker has it."""

_MOST_TEXELS = 8_000_000
"""In the bounding boxes of all triangles; a layout with more lies over itself many times."""

_EDGE = 1e-4
"""How far a corner may leave its tile: rounding."""


@dataclass(frozen=True)
class MeshCheck:
    """What was found.

    Attributes:
        flipped_edges: edges whose two faces are turned differently.
        inside_out: the mesh is closed and all of it points inwards.
        uvs_overlap: triangles lie over each other in the UV map.
        uvs_leave_tiles: triangles lie across the border of the unit square or of a UDIM tile.
    """

    flipped_edges: int
    inside_out: bool
    uvs_overlap: bool
    uvs_leave_tiles: bool


@dataclass(frozen=True)
class Faces:
    """A mesh as Blender holds it.

    Attributes:
        positions: (V, 3) float32.
        edges: (E, 2) int32 vertices of each edge.
        corner_vertices, corner_edges: (L,) int32 vertex of each loop, and the edge to the next one of its
            face.
        loops: (F, 3) int32 loops of each triangle.
        uvs: (L, 2) float32, or None.
    """

    positions: np.ndarray
    edges: np.ndarray
    corner_vertices: np.ndarray
    corner_edges: np.ndarray
    loops: np.ndarray
    uvs: np.ndarray | None


def check(mesh: Faces) -> MeshCheck:
    """Looks at everything; a quarter of a second for 100,000 triangles at most."""
    flipped, inside_out = _winding(mesh)
    if mesh.uvs is None or not np.isfinite(mesh.uvs).all():
        return MeshCheck(flipped, inside_out, False, mesh.uvs is not None)
    corners = mesh.uvs[mesh.loops].astype(np.float64)
    tiles = np.floor(corners.mean(axis=1, keepdims=True))
    local = corners - tiles
    if ((local < -_EDGE) | (local > 1 + _EDGE)).any():
        return MeshCheck(flipped, inside_out, False, True)
    return MeshCheck(flipped, inside_out, _overlap(local, tiles[:, 0]), False)


def _winding(mesh: Faces) -> tuple[int, bool]:
    """An edge between two faces is walked once in each direction if they are turned alike; the volume then
    has the sign of all faces."""
    count = len(mesh.edges)
    forward = mesh.corner_vertices == mesh.edges[mesh.corner_edges, 0]
    faces = np.bincount(mesh.corner_edges, minlength=count)
    walked_forward = np.bincount(mesh.corner_edges, forward, minlength=count)
    flipped = int(np.count_nonzero((faces == 2) & (walked_forward != 1)))
    if flipped or (faces != 2).any():
        return flipped, False
    a, b, c = (
        mesh.positions[mesh.corner_vertices[mesh.loops[:, corner]]].astype(np.float64) for corner in range(3)
    )
    return 0, bool(np.einsum("ij,ij->", a, np.cross(b, c)) < 0)


def _overlap(corners: np.ndarray, tiles: np.ndarray) -> bool:
    """Whether triangles (F, 3, 2) of the unit square, each on a tile (F, 2), cover more texels twice than
    rounding explains."""
    scaled = corners * SIZE - 0.5
    low = np.ceil(scaled.min(axis=1)).astype(np.int64)
    sides = np.maximum(np.floor(scaled.max(axis=1)).astype(np.int64) - low + 1, 0)
    counts = sides.prod(axis=1)
    if counts.sum() > _MOST_TEXELS:
        return True
    triangle = np.repeat(np.arange(len(corners)), counts)
    number = np.arange(len(triangle)) - np.repeat(np.cumsum(counts) - counts, counts)
    row, column = np.divmod(number, sides[triangle, 0])
    row, column = row + low[triangle, 1], column + low[triangle, 0]

    # Left of each edge by this much, for triangles that run counter-clockwise.
    x, y = scaled[..., 0], scaled[..., 1]
    dx, dy = np.roll(x, -1, axis=1) - x, np.roll(y, -1, axis=1) - y
    turn = np.sign(dx[:, 0] * dy[:, 1] - dy[:, 0] * dx[:, 1])
    inside = np.ones(len(triangle), bool)
    for edge in range(3):
        a, b = turn * dx[:, edge], turn * dy[:, edge]
        # Strictly, so that a texel centre on a common edge counts for neither side.
        inside &= (
            a[triangle] * row - b[triangle] * column > (a * y[:, edge] - b * x[:, edge])[triangle] + 1e-9
        )
    _, tile = np.unique(tiles @ np.array([1, 1 << 20]), return_inverse=True)
    texels = (tile[triangle[inside]] * SIZE + row[inside]) * SIZE + column[inside]
    hits = np.bincount(texels) if len(texels) else np.zeros(1, np.int64)
    return bool(np.count_nonzero(hits > 1) > OVERLAP_TOLERANCE * np.count_nonzero(hits))
