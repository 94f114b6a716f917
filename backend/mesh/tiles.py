"""UDIM tiles: an artist's layout over several unit squares becomes one square atlas, and its images are cut
into tiles again.

A tile's number is 1001 + column + 10 * row, with column and row the whole parts of its u and v.
"""

from collections.abc import Sequence

import numpy as np

LARGEST_ATLAS = 8192
"""All tiles together have at most this many texels along a side of the atlas: that many fit into memory."""

SMALLEST_TILE = 1024
MOST_TILES = (LARGEST_ATLAS // SMALLEST_TILE) ** 2

_BORDER = 1e-4
"""A corner may lie this far beyond its tile: rounding."""


def tile_numbers(corner_uvs: np.ndarray) -> np.ndarray:
    """(F,) int32 number of the tile that holds the middle of each triangle (F, 3, 2) float32, v up."""
    column, row = np.floor(corner_uvs.mean(axis=1)).astype(np.int32).T
    return 1001 + column + 10 * row


def keeps_to_tiles(corner_uvs: np.ndarray) -> bool:
    """Whether every triangle (F, 3, 2) lies inside one tile, and every tile is one that UDIM can number."""
    tile = np.floor(corner_uvs.mean(axis=1))
    inside = np.abs(corner_uvs - tile[:, None] - 0.5).max() <= 0.5 + _BORDER
    return bool(inside and tile.min() >= 0 and tile[:, 0].max() <= 9 and tile[:, 1].max() <= 99)


def gather(corner_uvs: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """A layout that keeps to its tiles as one atlas, a grid of them.

    Returns:
        ``corner_uvs`` (F, 3, 2) float32 in 0..1, and the numbers of the tiles, ascending: they fill the grid
        from the bottom left.
    """
    numbers = tile_numbers(corner_uvs)
    tiles, index = np.unique(numbers, return_inverse=True)
    side = _side(tiles)
    origin = np.column_stack([(numbers - 1001) % 10, (numbers - 1001) // 10])
    place = np.column_stack([index % side, index // side])
    return ((corner_uvs - origin[:, None] + place[:, None]) / side).astype(np.float32), tuple(tiles.tolist())


def tile_size(tiles: tuple[int, ...], texture_size: int) -> int:
    """Texels along a side of each tile: ``texture_size``, halved while all of them together would exceed
    :data:`LARGEST_ATLAS`."""
    while texture_size * _side(tiles) > LARGEST_ATLAS:
        texture_size //= 2
    return texture_size


def atlas_size(tiles: tuple[int, ...], texture_size: int) -> int:
    """Texels along a side of the atlas."""
    return tile_size(tiles, texture_size) * _side(tiles)


def cut(atlas: np.ndarray, tiles: tuple[int, ...]) -> dict[int, np.ndarray]:
    """The image of each tile of an atlas (S, S, C), by its number."""
    side = _side(tiles)
    size = len(atlas) // side
    rows = [slice(size * row, size * (row + 1)) for row in reversed(range(side))]
    columns = [slice(size * column, size * (column + 1)) for column in range(side)]
    return {tile: atlas[rows[index // side], columns[index % side]] for index, tile in enumerate(tiles)}


def join(images: dict[int, np.ndarray], tiles: tuple[int, ...]) -> np.ndarray:
    """The atlas that :func:`cut` cuts into these images, all (S, S, C) of one size; unused tiles of its grid
    are 0."""
    size, _, channels = images[tiles[0]].shape
    atlas = np.zeros((size * _side(tiles), size * _side(tiles), channels), images[tiles[0]].dtype)
    for tile, part in cut(atlas, tiles).items():
        part[...] = images[tile]
    return atlas


def _side(tiles: Sequence[int]) -> int:
    return int(np.ceil(np.sqrt(len(tiles))))
