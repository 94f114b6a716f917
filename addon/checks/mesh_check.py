"""Finds flipped faces and unusable UV maps with numpy alone. No bpy here."""

from dataclasses import dataclass

import numpy as np

OVERLAP_GRID_SIZE = 256
"""Texels along a side of the unit square, for the search for overlaps."""

OVERLAP_TOLERANCE = 0.002
"""Fraction of covered texels that may be covered by two triangles; the worker uses the same."""

_MAX_TEXELS = 8_000_000
"""Texels in the bounding boxes of all triangles; a layout with more overlaps itself many times."""

_TILE_TOLERANCE = 1e-4
"""How far a corner may be outside of its tile because of rounding, in UV units."""


@dataclass(frozen=True)
class MeshCheck:
    """The result of the check.

    Attributes:
        flipped_edges: number of edges whose two faces have opposite winding.
        inside_out: the mesh is closed and all of its faces point inwards.
        uvs_overlap: triangles overlap in the UV map.
        uvs_leave_tiles: triangles cross the border of the unit square or of a UDIM tile.
        uv_reach: of those triangles the coordinate that is farthest from the unit square; 0 without.
    """

    flipped_edges: int
    inside_out: bool
    uvs_overlap: bool
    uvs_leave_tiles: bool
    uv_reach: float = 0.0


@dataclass(frozen=True)
class Faces:
    """A mesh in Blender's arrays.

    Attributes:
        positions: (V, 3) float32.
        edges: (E, 2) int32 vertices of each edge.
        corner_vertices: (L,) int32 vertex of each loop.
        corner_edges: (L,) int32 edge from each loop to the next one of its face.
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
    """Runs all checks; takes a quarter of a second for 100,000 triangles at most."""
    flipped, inside_out = _winding(mesh)
    if mesh.uvs is None or not np.isfinite(mesh.uvs).all():
        return MeshCheck(flipped, inside_out, False, mesh.uvs is not None)
    corners = mesh.uvs[mesh.loops].astype(np.float64)
    tiles = np.floor(corners.mean(axis=1, keepdims=True))
    local = corners - tiles
    strays = ((local < -_TILE_TOLERANCE) | (local > 1 + _TILE_TOLERANCE)).any(axis=(1, 2))
    if strays.any():
        outside = corners[strays].ravel()
        reach = float(outside[np.abs(outside - 0.5).argmax()])
        return MeshCheck(flipped, inside_out, False, True, reach)
    return MeshCheck(flipped, inside_out, _overlap(local, tiles[:, 0]), False)


def _winding(mesh: Faces) -> tuple[int, bool]:
    """``(flipped_edges, inside_out)``. Two faces with the same winding use their common edge in opposite
    directions; if all do, the sign of the volume is that of all faces."""
    count = len(mesh.edges)
    forward = mesh.corner_vertices == mesh.edges[mesh.corner_edges, 0]
    faces = np.bincount(mesh.corner_edges, minlength=count)
    used_forward = np.bincount(mesh.corner_edges, forward, minlength=count)
    flipped = int(np.count_nonzero((faces == 2) & (used_forward != 1)))
    if flipped or (faces != 2).any():
        return flipped, False
    a, b, c = (
        mesh.positions[mesh.corner_vertices[mesh.loops[:, corner]]].astype(np.float64) for corner in range(3)
    )
    return 0, bool(np.einsum("ij,ij->", a, np.cross(b, c)) < 0)


def _overlap(corners: np.ndarray, tiles: np.ndarray) -> bool:
    """Whether triangles (F, 3, 2) in the unit square, each on a tile (F, 2), cover more texels twice than
    rounding explains."""
    scaled = corners * OVERLAP_GRID_SIZE - 0.5
    # The bounding box of each triangle in texels (F, 2), and how many texels it has.
    low = np.ceil(scaled.min(axis=1)).astype(np.int64)
    sizes = np.maximum(np.floor(scaled.max(axis=1)).astype(np.int64) - low + 1, 0)
    counts = sizes.prod(axis=1)
    if counts.sum() > _MAX_TEXELS:
        return True
    # The texels of all boxes in one list: the triangle, row and column of each.
    triangle = np.repeat(np.arange(len(corners)), counts)
    number = np.arange(len(triangle)) - np.repeat(np.cumsum(counts) - counts, counts)
    row, column = np.divmod(number, sizes[triangle, 0])
    row, column = row + low[triangle, 1], column + low[triangle, 0]

    # Edge functions: how far left of each edge a texel is, for counter-clockwise triangles.
    x, y = scaled[..., 0], scaled[..., 1]
    dx, dy = np.roll(x, -1, axis=1) - x, np.roll(y, -1, axis=1) - y
    turn = np.sign(dx[:, 0] * dy[:, 1] - dy[:, 0] * dx[:, 1])
    inside = np.ones(len(triangle), bool)
    for edge in range(3):
        a, b = turn * dx[:, edge], turn * dy[:, edge]
        # Strictly left, so that a texel centre on a common edge counts for neither triangle.
        inside &= (
            a[triangle] * row - b[triangle] * column > (a * y[:, edge] - b * x[:, edge])[triangle] + 1e-9
        )
    _, tile = np.unique(tiles @ np.array([1, 1 << 20]), return_inverse=True)
    # Count how many triangles cover each texel of each tile.
    row_of_tiles = tile[triangle[inside]] * OVERLAP_GRID_SIZE + row[inside]
    texels = row_of_tiles * OVERLAP_GRID_SIZE + column[inside]
    hits = np.bincount(texels) if len(texels) else np.zeros(1, np.int64)
    return bool(np.count_nonzero(hits > 1) > OVERLAP_TOLERANCE * np.count_nonzero(hits))
