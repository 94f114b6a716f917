"""Copies: parts of a surface that share their texels with another part of the same shape, as modifiers that
mirror or repeat make them, and as artists stack them.

Each copy gets a layer of its own, so that it can be painted by itself. Parts that share texels but not their
shape have no layers, because no texture fits both.
"""

from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from .edges import corner_components, link_components, twin_half_edges
from .surface import Surface
from .tiles import MAX_ATLAS_SIZE, atlas_size, cells_of_faces, gather_tiles
from .uvs import CHECK_SIZE, MIN_STACKED_TEXELS, OVERLAP_TOLERANCE, list_face_texels

MAX_DEVIATION = 0.02
"""Root mean square distance of a copy's points from the moved original's up to which both have one shape, as
a fraction of that of the points from their centre."""

FLATNESS = 1e-3
"""Thickness over extent up to which a shape is flat."""

SMALLEST_FLAT_COPY = 3
"""Triangles of a flat copy at least, unless it is a mirror image: fewer are single polygons, of which each
was spread over the whole UV square."""

BORDER_FRACTION = 0.01
"""Fraction of a part's texels that may lie on another one by rounding at its border."""

MAX_TEXELS = 4_000_000
"""Texels of all triangles together at most; with more, they are looked at on a smaller raster."""


MAX_CELLS = 16
"""Layers that are painted at most, all tiles together; further copies show what those show."""


@dataclass(frozen=True)
class _Parts:
    """Faces that are connected across edges in the UV map and turned alike in it.

    Attributes:
        of_face: (F,) int64 number of each face's part, in the order of their first faces.
        turned: (P,) bool, whether the part is seen from behind in the UV map.
    """

    of_face: np.ndarray
    turned: np.ndarray


@dataclass(frozen=True)
class _Pairs:
    """Points of copies, and of what they lie on, at the same texels.

    Attributes:
        face, below: (N,) int32 faces.
        points, points_below: (N, 3) float32 where they have the texel.
        mirrored: (N,) bool, whether one is turned in the UV map and the other is not.
    """

    face: np.ndarray
    below: np.ndarray
    points: np.ndarray
    points_below: np.ndarray
    mirrored: np.ndarray


def lay_side_by_side(surface: Surface, layers: np.ndarray, texture_size: int) -> Surface:
    """The surface with an atlas that has each layer (F,) int32 of its tiles in a cell of its own.

    There are as many as have room in the largest atlas at ``texture_size``, but four at least. The faces of
    all further ones have no area in the atlas.
    """
    shared_uvs, tiles = gather_tiles(surface.corner_uvs)
    per_side = max(2, MAX_ATLAS_SIZE // texture_size)
    last = max(1, min(per_side**2, MAX_CELLS) // len(tiles) - 1)
    uvs, cells = gather_tiles(surface.corner_uvs, np.minimum(layers, last))
    uvs[layers > last] = uvs[layers > last][:, :1]
    return replace(surface, corner_uvs=uvs, tiles=cells, shared_uvs=shared_uvs)


def lay_upon_another(surface: Surface) -> Surface:
    """The surface with the atlas of the finished texture, in which copies share their texels."""
    if surface.shared_uvs is None:
        return surface
    tiles = tuple(sorted(set(surface.tiles)))
    return replace(surface, corner_uvs=surface.shared_uvs, tiles=tiles, shared_uvs=None)


def is_original(surface: Surface) -> np.ndarray:
    """(F,) bool: the faces of the surface's first layer."""
    cells = cells_of_faces(surface.corner_uvs, surface.tiles)
    return np.isin(cells, np.unique(surface.tiles, return_index=True)[1])


def select_originals(surface: Surface) -> Surface:
    """The faces of the first layer, with the atlas of the finished texture: each of its texels lies on one
    face, that of its original."""
    if surface.shared_uvs is None:
        return surface
    chosen, surface = is_original(surface), lay_upon_another(surface)
    return replace(
        surface,
        faces=surface.faces[chosen],
        corner_normals=surface.corner_normals[chosen],
        corner_uvs=surface.corner_uvs[chosen],
        job_faces=surface.job_faces[chosen],
        slots=None if surface.slots is None else surface.slots[chosen],
    )


def find_layers(surface: Surface) -> np.ndarray | None:
    """(F,) int32 layer of each face, so that those of one layer share no texels; 0 for originals and for what
    has no copies. None if faces that share texels are no copies of one another.

    Args:
        surface: with UVs that keep to their tiles.
    """
    uvs, tiles = gather_tiles(surface.corner_uvs)
    size = _choose_size(uvs, atlas_size(tiles, CHECK_SIZE))
    parts = _find_parts(surface, uvs)
    order = np.argsort(parts.of_face, kind="stable")
    place, number = list_face_texels(uvs[order], size)
    face = order[number].astype(np.int32)
    part = parts.of_face[face]
    covered = np.bincount(part, minlength=len(parts.turned))
    layer, folded = _stack(place, np.append(0, np.cumsum(covered)), size)
    # What lies in layer 0, and what lies upon it.
    below = np.full(size * size, -1, np.int32)
    bottom = layer[part] == 0
    below[place[bottom]] = face[bottom]
    upon = ~bottom & (below[place] >= 0)
    shared = np.bincount(part[upon], minlength=len(layer))
    stacked = (shared >= MIN_STACKED_TEXELS) & (2 * shared >= covered)
    stray = folded + shared[~stacked].sum()
    if not stacked.any() or stray > OVERLAP_TOLERANCE * (below >= 0).sum() or _is_projection(surface):
        return None
    upon &= stacked[part]
    pairs = _pair(surface, uvs, parts, place[upon], face[upon], below[place[upon]], size)
    # What touches the rest is copied with it, layer by layer; a loose piece may lie anywhere.
    piece = corner_components(surface.faces, np.arange(len(surface.faces)))
    touching = np.bincount(part[upon], piece[pairs.face] == piece[pairs.below], len(layer))
    group = np.where(2 * touching < shared, len(layer) + np.arange(len(layer)), layer)[part[upon]]
    return layer[parts.of_face].astype(np.int32) if _are_copies(pairs, group, surface) else None


def _choose_size(uvs: np.ndarray, size: int) -> int:
    """Texels along a raster on which faces (F, 3, 2) have :data:`MAX_TEXELS` at most."""
    across, along = uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]
    area = np.abs(across[:, 0] * along[:, 1] - across[:, 1] * along[:, 0]).sum() / 2
    while area * size**2 > MAX_TEXELS:
        size //= 2
    return size


def _find_parts(surface: Surface, uvs: np.ndarray) -> _Parts:
    across, along = uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]
    turned = across[:, 0] * along[:, 1] < across[:, 1] * along[:, 0]
    place = np.ascontiguousarray(uvs).reshape(-1, 2).view(np.int64)[:, 0]
    keys = np.column_stack([place, surface.faces.ravel(), np.repeat(turned, 3)])
    corners = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1, 3)
    each = np.arange(len(corners))
    group = link_components(np.hstack([twin_half_edges(corners).T // 3, [each, each]]))
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    return _Parts(np.argsort(np.argsort(first))[inverse.ravel()], turned[np.sort(first)])


def _pair(
    surface: Surface,
    uvs: np.ndarray,
    parts: _Parts,
    place: np.ndarray,
    face: np.ndarray,
    below: np.ndarray,
    size: int,
) -> _Pairs:
    """Pairs of the points that faces (N,) have at flat places (N,) of a raster."""
    at = np.column_stack([(place % size + 0.5) / size, 1 - (place // size + 0.5) / size])
    turned = parts.turned[parts.of_face]
    points, points_below = (_locate(surface, uvs, each, at) for each in (face, below))
    return _Pairs(face, below, points, points_below, turned[face] != turned[below])


def _locate(surface: Surface, uvs: np.ndarray, face: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(N, 3) float32 points of faces (N,) at UVs (N, 2) on them."""
    a, b, c = uvs[face].astype(np.float64).transpose(1, 0, 2)
    across, along, to = b - a, c - a, at - a
    area = across[:, 0] * along[:, 1] - across[:, 1] * along[:, 0]
    v = (to[:, 0] * along[:, 1] - to[:, 1] * along[:, 0]) / area
    w = (across[:, 0] * to[:, 1] - across[:, 1] * to[:, 0]) / area
    weights = np.column_stack([1 - v - w, v, w]).astype(np.float32)
    return np.einsum("nc,ncx->nx", weights, surface.vertices[surface.faces[face]])


def _are_copies(pairs: _Pairs, group: np.ndarray, surface: Surface) -> bool:
    """Whether each group (N,) of pairs is one rigid or mirrored copy."""
    mesh_is_flat = _is_flat(surface.vertices[surface.faces].reshape(-1, 3))
    order = np.argsort(group, kind="stable")
    for chosen in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        points, below = pairs.points[chosen], pairs.points_below[chosen]
        if not _have_one_shape(points, below):
            return False
        # A flat piece has the shape of many others.
        several = len(np.unique(pairs.face[chosen])) >= SMALLEST_FLAT_COPY
        if _is_flat(points) and not (mesh_is_flat and (several or pairs.mirrored[chosen].all())):
            return False
    return True


def _have_one_shape(points: np.ndarray, others: np.ndarray) -> bool:
    """Whether one rotation, with or without mirroring, and one shift bring points (N, 3) to the others (N,
    3), by the orthogonal Procrustes problem."""
    points, others = (each - each.mean(axis=0, dtype=np.float64) for each in (points, others))
    total = np.square(points).sum() + np.square(others).sum()
    left = total - 2 * np.linalg.svd(points.T @ others, compute_uv=False).sum()
    return left <= MAX_DEVIATION**2 * total / 2


def _is_projection(surface: Surface) -> bool:
    """Whether the UV map is the shape as seen from one side, so that its front lies on its back."""
    points = surface.vertices[surface.faces].reshape(-1, 3)
    if _is_flat(points):
        return False
    uvs = surface.corner_uvs.reshape(-1, 2).astype(np.float64)
    columns = np.column_stack([points, np.ones(len(points))])
    left = uvs - columns @ np.linalg.lstsq(columns, uvs, rcond=None)[0]
    return bool(np.square(left).sum() < FLATNESS**2 * np.square(uvs - uvs.mean(axis=0)).sum())


def _is_flat(points: np.ndarray) -> bool:
    """Whether points (N, 3) lie on one plane."""
    values = np.linalg.eigvalsh(np.cov(points.astype(np.float64), rowvar=False))
    return bool(values[0] <= FLATNESS**2 * values[2])


@njit(cache=True, nogil=True)
def _stack(place, starts, size):
    """Lays part upon part, each in the lowest layer above all that it shares texels with.

    Args:
        place: flat places of the texels of part after part.
        starts: where each part starts among them, and the end.
        size: texels along the raster.

    Returns:
        (P,) int64 layer of each part, and the number of texels that lie twice in a part.
    """
    height, last = np.zeros(size * size, np.int32), np.full(size * size, -1, np.int32)
    layer, folded = np.zeros(len(starts) - 1, np.int64), 0
    for part in range(len(layer)):
        own = place[starts[part] : starts[part + 1]]
        if len(own) == 0:
            continue
        allowed = int(BORDER_FRACTION * len(own))
        layer[part] = np.sort(height[own])[len(own) - 1 - allowed]
        for texel in own:
            height[texel] = max(height[texel], layer[part] + 1)
            folded += last[texel] == part
            last[texel] = part
    return layer, folded
