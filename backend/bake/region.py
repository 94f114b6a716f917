"""The blend of a new texture with an earlier one, of which a region is painted anew: outside the region every
texel keeps its value, inside it is new, with a soft transition between.

The transition lies inside the region. Its weight depends on the distance to the region's border in space, so
it runs across UV seams as if they were not there, and both sides of a seam still match.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.spatial import cKDTree

from ..api.errors import InvalidImage, InvalidTarget
from ..api.job import MAPS, NOTHING_MARKED, Kept
from ..image import decode_image, shrink_longest
from ..mesh.copies import lay_upon_another, select_originals
from ..mesh.surface import Surface
from ..mesh.texels import Texels, locate_texels, nearest_in_mask
from ..mesh.tiles import join_tiles, repeat_tiles
from ..mesh.uvs import list_face_texels, rasterize_atlas
from ..mesh.voxels import interpolate, voxelize
from ..paint.painter import Repaint
from ..render.footprint import texel_tangents
from .bake import Texture
from .seams import equalise_seams, sample_seams

COLOR_MAPS = ("base_color", "disagreement", "color_source")
"""The maps with three channels; the others are grey."""

DEFAULT_VALUES = {"metallic": 0, "roughness": 153, "alpha": 255}
"""What stands for a map that the earlier texture lacks: the values of a surface without one; 0 for all other
maps."""


@dataclass(frozen=True)
class RegionConfig:
    """The transition between the earlier texture and the new one."""

    transition: float = 0.02
    """Width of the transition, in units of the mesh's longest side; where the region is too narrow for it,
    half the region's depth there."""

    depth_cells: int = 64
    """Cells along the grid on which the region's local depth is found."""

    depth_steps: int = 2
    """The local depth is the largest within this many steps over those cells."""

    max_size: int = 2048
    """Texels along the largest atlas on which distances are computed: the transition is far wider than a
    texel of it."""


DEFAULT_REGION_CONFIG = RegionConfig()


@dataclass(frozen=True)
class Earlier:
    """An earlier texture on a surface's UVs, and the region of it that is painted anew.

    Attributes:
        maps: atlases (S, S, 1 or 3) uint8 by the name of :class:`Texture`'s attribute, ``base_color`` among
            them.
        region: see :class:`Kept`.
    """

    maps: dict[str, np.ndarray]
    region: np.ndarray


def decode_kept(kept: Kept, surface: Surface) -> Earlier:
    """Decodes and checks the images of an earlier texture.

    Raises:
        InvalidImage: a texture cannot be read, has another size or other UDIM tiles than it should, or comes
            without the one it belongs to.
        InvalidTarget: the texture does not lie on this surface's UVs, or the region holds no texel of it.
    """
    if surface.unwrapped:
        raise InvalidTarget(
            "The mesh's UV map cannot be used, so it is not the one that the texture to keep lies on. "
            "Texture the whole mesh instead."
        )
    if kept.region.ndim == 2 and len(set(surface.tiles)) > 1:
        raise InvalidTarget(
            "A painted region needs a UV map of one tile, and this one has several UDIM tiles. Select faces "
            "instead."
        )
    tiles = lay_upon_another(surface).tiles
    # Files by map and tile: ``base_color`` or ``base_color.1001``.
    files: dict[str, dict[str, np.ndarray]] = {}
    for name, data in kept.textures.items():
        key, _, tile = name.partition(".")
        files.setdefault(key, {})[tile] = data
    if ("metallic" in files) != ("roughness" in files):
        raise InvalidImage(
            "The textures to keep hold only one of metallic and roughness. Give both, or neither."
        )
    # Tiles are joined to atlases of one size.
    maps = {key: _decode_atlas(key, images, tiles) for key, images in files.items()}
    if len({atlas.shape[:2] for atlas in maps.values()}) > 1:
        raise InvalidImage(
            "The textures to keep are not all of one size. Bring them to the size of the base color."
        )
    region = kept.region
    size = min(len(maps["base_color"]), DEFAULT_REGION_CONFIG.max_size)
    if surface.shared_uvs is not None and region.ndim == 1:
        region = _draw_marked_copies(surface, region, size)
    if not region_mask(select_originals(surface), region, size).any():
        raise InvalidTarget(NOTHING_MARKED)
    return Earlier(maps, region)


def _draw_marked_copies(surface: Surface, marked: np.ndarray, size: int) -> np.ndarray:
    """(S, S) uint8 region of the finished texture: 255 on each face of which any copy is marked (F,) uint8
    among the job's triangles."""
    shared = lay_upon_another(surface)
    place, face = list_face_texels(shared.corner_uvs, size)
    drawn = np.zeros((size, size), np.uint8)
    drawn.ravel()[place[marked[surface.job_faces][face] > 0]] = 255
    return drawn


def blend_region(
    surface: Surface, texture: Texture, earlier: Earlier, progress: Callable[[float], None]
) -> Texture:
    """The new texture inside the region, the earlier one bit for bit outside, in the earlier one's size.

    Colours are blended sRGB-encoded; texels beyond the islands follow the nearest texel on them.
    """
    size = len(earlier.maps["base_color"])
    weight = blend_weights(surface, earlier.region, size)
    progress(0.6)
    maps = {name: _blend_map(name, earlier.maps.get(name), getattr(texture, name), weight) for name in MAPS}
    if "color_source" not in earlier.maps:
        maps["color_source"] = None  # where the earlier texture's colours are from is not known
    on_surface = rasterize_atlas(surface.corner_uvs, size)[0] >= 0
    note = (
        f"{(weight[on_surface] > 0).mean():.1%} of the texture was painted anew; the rest is the earlier "
        "take's, texel by texel."
    )
    return replace(
        texture,
        covered=float((maps["coverage"][on_surface] > 0).mean()),
        notes=(*texture.notes, note),
        **maps,
    )


def blend_weights(
    surface: Surface, region: np.ndarray, size: int, config: RegionConfig = DEFAULT_REGION_CONFIG
) -> np.ndarray:
    """(S, S) float32 weight of the new texture in each texel of an atlas, 0 outside the region."""
    # Weights by the depth inside the region, on a smaller atlas.
    texels = locate_texels(surface, min(size, config.max_size))
    inside = region_mask(surface, region, texels.size).ravel()[texels.place] > 0
    weight = np.zeros(len(texels), np.float32)
    weight[inside] = 1
    if len(border := _region_border(surface, texels, inside)):
        depth, _ = cKDTree(border).query(
            texels.positions[inside], distance_upper_bound=2 * config.transition, workers=-1
        )
        depth = np.minimum(depth, 2 * config.transition)
        local_depth = _local_depth(surface, texels.positions[inside], depth, config)
        weight[inside] = _smoothstep(2 * depth / np.maximum(local_depth, 1e-6))
    # At the atlas's own size: never more than the region says of a texel, and alike on both sides of seams.
    weight = cv2.resize(weight[texels.nearest], (size, size), interpolation=cv2.INTER_LINEAR)
    limit, on_surface = region_mask(surface, region, size), rasterize_atlas(surface.corner_uvs, size)[0] >= 0
    weight = equalise_seams(
        np.minimum(weight, limit)[..., None], on_surface, surface.faces, surface.corner_uvs
    )[..., 0]
    return np.where(limit > 0, np.clip(weight, 0, 1), 0)


def describe_repaint(surface: Surface, earlier: Earlier) -> Repaint:
    """What a painter is told of the region; on all copies, where they share texels."""
    base_color = shrink_longest(earlier.maps["base_color"], DEFAULT_REGION_CONFIG.max_size)
    region = region_mask(select_originals(surface), earlier.region, len(base_color))
    if surface.shared_uvs is not None:
        base_color, region = (repeat_tiles(image, surface.tiles) for image in (base_color, region))
    return Repaint(base_color, region)


def region_mask(surface: Surface, region: np.ndarray, size: int) -> np.ndarray:
    """(S, S) float32 0..1: the value of a region (see :class:`Kept`) at each texel; off the surface that of
    the nearest texel on it."""
    face = rasterize_atlas(surface.corner_uvs, size)[0]
    on = face >= 0
    if region.ndim == 1:
        values = (region[surface.job_faces] > 0)[face[on]].astype(np.float32)
    else:
        shrinks = size < max(region.shape)
        values = cv2.resize(
            region, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )[on] / np.float32(255)
    return values[nearest_in_mask(on)] if on.any() else np.zeros((size, size), np.float32)


def _region_border(surface: Surface, texels: Texels, inside: np.ndarray) -> np.ndarray:
    """(N, 3) float32 points on the border of the region: where texels inside (N,) bool and outside it meet,
    in the atlas and across its seams."""
    # Neighbours in the atlas, right and below, by their numbers.
    number = np.full((texels.size, texels.size), -1, np.int32)
    number.ravel()[texels.place] = np.arange(len(texels), dtype=np.int32)
    pairs = [
        np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()]),
        np.stack([number[:-1].ravel(), number[1:].ravel()]),
    ]
    one, other = np.concatenate([pair[:, (pair >= 0).all(axis=0)] for pair in pairs], axis=1)
    differ = inside[one] != inside[other]
    one, other = one[differ], other[differ]
    # Islands may touch in the atlas and yet lie far apart on the surface.
    step = np.linalg.norm(
        texel_tangents(surface.vertices, surface.faces, surface.corner_uvs, texels.size), axis=1
    ).max(axis=1)
    reach = 2 * np.maximum(step[texels.face[one]], step[texels.face[other]])
    together = np.linalg.norm(texels.positions[one] - texels.positions[other], axis=1) <= reach
    within = (texels.positions[one[together]] + texels.positions[other[together]]) / 2

    # Seams: places that read as inside from one side and as outside from the other.
    near = texels.nearest.ravel()
    sides = [
        (near[places], weights)
        for places, weights in sample_seams(surface.faces, surface.corner_uvs, texels.size)
    ]
    reads = [(inside[places] * weights).sum(axis=1) > 0.5 for places, weights in sides]
    places, weights = sides[0]
    cut = reads[0] != reads[1]
    across = np.einsum("nk,nkx->nx", weights[cut], texels.positions[places[cut]])
    return np.concatenate([within, across])


def _local_depth(
    surface: Surface, positions: np.ndarray, depth: np.ndarray, config: RegionConfig
) -> np.ndarray:
    """(N,) float32: the largest depth of the region around points of it (N, 3) that lie at ``depth`` (N,)."""
    voxels = voxelize(surface, config.depth_cells)
    deepest, cell = np.zeros(len(voxels), np.float32), voxels.index_of(positions)
    np.maximum.at(deepest, cell[cell >= 0], depth[cell >= 0])
    for _ in range(config.depth_steps):
        one, other = deepest[voxels.edges].T
        for end, reached in zip(voxels.edges.T, (other, one), strict=True):
            np.maximum.at(deepest, end, reached)
    return np.maximum(interpolate(voxels, deepest[:, None], positions)[:, 0], depth)


def _blend_map(name: str, old: np.ndarray | None, new: np.ndarray | None, weight: np.ndarray) -> np.ndarray:
    """(S, S, C) uint8: ``old`` where the weight (S, S) is 0, bit for bit; all of ``old`` where there is no
    new map."""
    if new is None:
        return old
    size = len(weight)
    if old is None:
        old = np.full((size, size, new.shape[2]), DEFAULT_VALUES.get(name, 0), np.uint8)
    if len(new) != size:
        new = cv2.resize(
            new, (size, size), interpolation=cv2.INTER_AREA if len(new) > size else cv2.INTER_LINEAR
        ).reshape(old.shape)
    result, place = old.copy(), weight > 0
    if name == "coverage":  # a texel is seen, or it is not
        result[weight >= 0.5] = new[weight >= 0.5]
    else:
        before = old[place].astype(np.float32)
        result[place] = np.round(before + weight[place][:, None] * (new[place] - before))
    return result


def _decode_atlas(name: str, files: dict[str, np.ndarray], tiles: tuple[int, ...]) -> np.ndarray:
    """(S, S, C) uint8 atlas of a map, from its files by the number of their tile."""
    wanted = {str(tile) for tile in tiles} if len(tiles) > 1 else {""}
    if set(files) != wanted:
        raise InvalidImage(
            f"The texture to keep, '{name}', does not have the tiles of the mesh's UV map. Texture the whole "
            "mesh instead."
        )
    images = {int(tile or tiles[0]): _decode(name, data) for tile, data in files.items()}
    sizes = {image.shape for image in images.values()}
    if len(sizes) > 1 or any(height != width for height, width, _ in sizes):
        raise InvalidImage(
            f"The texture to keep, '{name}', must be as wide as "
            f"high{', every tile alike' if len(tiles) > 1 else ''}."
        )
    return join_tiles(images, tiles)


def _decode(name: str, data: np.ndarray) -> np.ndarray:
    """(H, W, 1 or 3) uint8 of an image file (N,) uint8."""
    color = name in COLOR_MAPS
    image = decode_image(data, color)
    if image is None:
        raise InvalidImage(f"The texture to keep, '{name}', is not an image file that can be read.")
    return np.ascontiguousarray(image[..., ::-1]) if color else image[..., None]


def _smoothstep(t: np.ndarray) -> np.ndarray:
    """0 at 0, 1 from 1 on, smooth between."""
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)
