"""A region of an earlier texture painted anew: outside of it every texel stays as it was, inside it is new,
with a soft passage between.

The passage lies inside the region. How far it has come depends on the distance to the region's border in
space, so it runs across UV seams as if they were not there, and both sides of a seam still match.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.spatial import cKDTree

from ..api.errors import InvalidImage, InvalidTarget
from ..api.job import MAPS, NOTHING_MARKED, Kept
from ..mesh.surface import Surface
from ..mesh.tiles import join
from ..mesh.uvs import rasterize_atlas
from ..mesh.voxels import interpolate, voxelize
from ..render.footprint import tangents
from .bake import Texture
from .seams import equalise, seam_places
from .texels import Texels, locate, nearest

PASSAGE = 0.02
"""Width of the passage, in units of the mesh's longest side; where the region has no room for it, half the
region's depth there."""

ROOM_CELLS, ROOM_STEPS = 64, 2
"""How deep the region is somewhere is the most within so many steps over cells of a grid this fine."""

FINEST = 2048
"""The largest atlas on which distances are worked out: the passage is far wider than one of its texels."""

COLORS = ("base_color", "disagreement")
"""The maps with three channels; the others are grey."""

UNKNOWN = {"metallic": 0, "roughness": 153, "alpha": 255}
"""What stands for a map that the earlier texture lacks: a surface as it looks without one. Of all other maps
0."""


@dataclass(frozen=True)
class Earlier:
    """An earlier texture on a surface's UVs, and the region of it that is painted anew.

    Attributes:
        maps: atlases (S, S, 1 or 3) uint8 by the name of :class:`Texture`'s attribute, ``base_color`` among
            them.
        region: as :class:`Kept` has it.
    """

    maps: dict[str, np.ndarray]
    region: np.ndarray


def read(kept: Kept, surface: Surface) -> Earlier:
    """The atlases of an earlier texture.

    Raises:
        InvalidImage: a texture cannot be read, is not of the size or the UDIM tiles that it should have, or
            lacks the one it goes with.
        InvalidTarget: the texture does not lie on this surface's UVs, or the region holds no texel of it.
    """
    if surface.unwrapped:
        raise InvalidTarget(
            "The mesh's UV map cannot be used, so it is not the one that the texture to keep lies on. "
            "Texture the whole mesh instead."
        )
    if kept.region.ndim == 2 and len(surface.tiles) > 1:
        raise InvalidTarget(
            "A painted region needs a UV map of one tile, and this one has several UDIM tiles. Select faces "
            "instead."
        )
    files: dict[str, dict[str, np.ndarray]] = {}
    for name, data in kept.textures.items():
        key, _, tile = name.partition(".")
        files.setdefault(key, {})[tile] = data
    if ("metallic" in files) != ("roughness" in files):
        raise InvalidImage(
            "The textures to keep hold only one of metallic and roughness. Give both, or neither."
        )
    maps = {key: _atlas(key, tiles, surface.tiles) for key, tiles in files.items()}
    if len({atlas.shape[:2] for atlas in maps.values()}) > 1:
        raise InvalidImage(
            "The textures to keep are not all of one size. Bring them to the size of the base color."
        )
    if not marked(surface, kept.region, min(len(maps["base_color"]), FINEST)).any():
        raise InvalidTarget(NOTHING_MARKED)
    return Earlier(maps, kept.region)


def repaint(
    surface: Surface, texture: Texture, earlier: Earlier, progress: Callable[[float], None]
) -> Texture:
    """The new texture inside the region, the earlier one bit for bit outside, in the earlier one's size.

    Colours are blended as they are, sRGB-encoded; what lies beyond the islands follows the nearest texel on
    them.
    """
    size = len(earlier.maps["base_color"])
    share = shares(surface, earlier.region, size)
    progress(0.6)
    maps = {name: _blended(name, earlier.maps.get(name), getattr(texture, name), share) for name in MAPS}
    on_surface = rasterize_atlas(surface.corner_uvs, size)[0] >= 0
    note = (
        f"{(share[on_surface] > 0).mean():.1%} of the texture was painted anew; the rest is the earlier "
        "take's, texel by texel."
    )
    return replace(
        texture,
        covered=float((maps["coverage"][on_surface] > 0).mean()),
        notes=(*texture.notes, note),
        **maps,
    )


def shares(surface: Surface, region: np.ndarray, size: int) -> np.ndarray:
    """(S, S) float32: how much of the new texture each texel of an atlas takes, 0 outside of the region."""
    texels = locate(surface, min(size, FINEST))
    inside = marked(surface, region, texels.size).ravel()[texels.place] > 0
    passed = np.zeros(len(texels), np.float32)
    passed[inside] = 1
    if len(border := _border(surface, texels, inside)):
        depth, _ = cKDTree(border).query(
            texels.positions[inside], distance_upper_bound=2 * PASSAGE, workers=-1
        )
        depth = np.minimum(depth, 2 * PASSAGE)
        passed[inside] = _smooth(
            2 * depth / np.maximum(_room(surface, texels.positions[inside], depth), 1e-6)
        )
    passed = cv2.resize(passed[texels.nearest], (size, size), interpolation=cv2.INTER_LINEAR)
    limit, on_surface = marked(surface, region, size), rasterize_atlas(surface.corner_uvs, size)[0] >= 0
    passed = equalise(np.minimum(passed, limit)[..., None], on_surface, surface.faces, surface.corner_uvs)[
        ..., 0
    ]
    return np.where(limit > 0, np.clip(passed, 0, 1), 0)


def marked(surface: Surface, region: np.ndarray, size: int) -> np.ndarray:
    """(S, S) float32 0..1: what a region (see :class:`Kept`) says of each texel; of one off the surface, what
    it says of the nearest."""
    face = rasterize_atlas(surface.corner_uvs, size)[0]
    on = face >= 0
    if region.ndim == 1:
        values = (region[surface.source] > 0)[face[on]].astype(np.float32)
    else:
        shrinks = size < max(region.shape)
        values = cv2.resize(
            region, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )[on] / np.float32(255)
    return values[nearest(on)] if on.any() else np.zeros((size, size), np.float32)


def _border(surface: Surface, texels: Texels, inside: np.ndarray) -> np.ndarray:
    """(N, 3) float32 places where texels that are inside (N,) bool and such that are not meet: in the atlas,
    and across its seams."""
    number = np.full((texels.size, texels.size), -1, np.int32)
    number.ravel()[texels.place] = np.arange(len(texels), dtype=np.int32)
    pairs = [
        np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()]),
        np.stack([number[:-1].ravel(), number[1:].ravel()]),
    ]
    one, other = np.concatenate([pair[:, (pair >= 0).all(axis=0)] for pair in pairs], axis=1)
    differ = inside[one] != inside[other]
    one, other = one[differ], other[differ]
    # Islands may lie wall to wall in the atlas, and yet far apart on the surface.
    step = np.linalg.norm(
        tangents(surface.vertices, surface.faces, surface.corner_uvs, texels.size), axis=1
    ).max(axis=1)
    reach = 2 * np.maximum(step[texels.face[one]], step[texels.face[other]])
    together = np.linalg.norm(texels.positions[one] - texels.positions[other], axis=1) <= reach
    within = (texels.positions[one[together]] + texels.positions[other[together]]) / 2

    near = texels.nearest.ravel()
    sides = [
        (near[places], weights)
        for places, weights in seam_places(surface.faces, surface.corner_uvs, texels.size)
    ]
    reads = [(inside[places] * weights).sum(axis=1) > 0.5 for places, weights in sides]
    places, weights = sides[0]
    cut = reads[0] != reads[1]
    across = np.einsum("nk,nkx->nx", weights[cut], texels.positions[places[cut]])
    return np.concatenate([within, across])


def _room(surface: Surface, positions: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """(N,) float32: how deep the region is around places of it (N, 3) that lie at ``depth`` (N,)."""
    voxels = voxelize(surface, ROOM_CELLS)
    deepest, cell = np.zeros(len(voxels), np.float32), voxels.index_of(positions)
    np.maximum.at(deepest, cell[cell >= 0], depth[cell >= 0])
    for _ in range(ROOM_STEPS):
        one, other = deepest[voxels.edges].T
        for side, reached in zip(voxels.edges.T, (other, one), strict=True):
            np.maximum.at(deepest, side, reached)
    return np.maximum(interpolate(voxels, deepest[:, None], positions)[:, 0], depth)


def _blended(name: str, old: np.ndarray | None, new: np.ndarray | None, share: np.ndarray) -> np.ndarray:
    """(S, S, C) uint8: ``old`` where the share (S, S) is 0, to the bit; ``old`` alone where nothing is
    new."""
    if new is None:
        return old
    size = len(share)
    if old is None:
        old = np.full((size, size, new.shape[2]), UNKNOWN.get(name, 0), np.uint8)
    if len(new) != size:
        new = cv2.resize(
            new, (size, size), interpolation=cv2.INTER_AREA if len(new) > size else cv2.INTER_LINEAR
        ).reshape(old.shape)
    result, place = old.copy(), share > 0
    if name == "coverage":  # a texel is seen, or it is not
        result[share >= 0.5] = new[share >= 0.5]
    else:
        before = old[place].astype(np.float32)
        result[place] = np.round(before + share[place][:, None] * (new[place] - before))
    return result


def _atlas(name: str, files: dict[str, np.ndarray], tiles: tuple[int, ...]) -> np.ndarray:
    """(S, S, C) uint8 of a map's files by the number of their tile."""
    wanted = {str(tile) for tile in tiles} if len(tiles) > 1 else {""}
    if set(files) != wanted:
        raise InvalidImage(
            f"The texture to keep, '{name}', does not have the tiles of the mesh's UV map. Texture the whole "
            "mesh instead."
        )
    images = {int(tile or tiles[0]): _decoded(name, data) for tile, data in files.items()}
    sizes = {image.shape for image in images.values()}
    if len(sizes) > 1 or any(height != width for height, width, _ in sizes):
        raise InvalidImage(
            f"The texture to keep, '{name}', must be as wide as "
            f"high{', every tile alike' if len(tiles) > 1 else ''}."
        )
    return join(images, tiles)


def _decoded(name: str, data: np.ndarray) -> np.ndarray:
    color = name in COLORS
    image = cv2.imdecode(data, cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE) if len(data) else None
    if image is None:
        raise InvalidImage(f"The texture to keep, '{name}', is not an image file that can be read.")
    return np.ascontiguousarray(image[..., ::-1]) if color else image[..., None]


def _smooth(t: np.ndarray) -> np.ndarray:
    """0 at 0, 1 from 1 on, smooth between."""
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)
