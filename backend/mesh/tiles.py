"""UDIM tiles: an artist's UV layout over several unit squares becomes one square atlas, whose images are cut
into tiles again.

A tile's number is 1001 + column + 10 * row, with column and row the integer parts of its u and v.
"""

from collections.abc import Sequence

import numpy as np

MAX_ATLAS_SIZE = 8192
"""Texels along the atlas of all tiles at most: that many fit into memory."""

MIN_TILE_SIZE = 1024
"""Texels along a tile at least."""

MAX_TILES = (MAX_ATLAS_SIZE // MIN_TILE_SIZE) ** 2
"""Tiles of a layout at most: as many as fit into the largest atlas at the smallest size."""

_TILE_TOLERANCE = 1e-4
"""A corner may lie this far outside its tile, by rounding."""


def tile_numbers(corner_uvs: np.ndarray) -> np.ndarray:
    """(F,) int32 number of the tile that holds the middle of each triangle (F, 3, 2) float32, v up."""
    column, row = np.floor(corner_uvs.mean(axis=1)).astype(np.int32).T
    return 1001 + column + 10 * row


def find_strays(corner_uvs: np.ndarray) -> np.ndarray:
    """(F,) bool: triangles (F, 3, 2) that do not lie inside one tile, or in none that UDIM can number."""
    tile = np.floor(corner_uvs.mean(axis=1))
    inside = np.abs(corner_uvs - tile[:, None] - 0.5).max(axis=(1, 2)) <= 0.5 + _TILE_TOLERANCE
    return ~(inside & (tile >= 0).all(axis=1) & (tile <= (9, 99)).all(axis=1))


def gather_tiles(
    corner_uvs: np.ndarray, layers: np.ndarray | None = None
) -> tuple[np.ndarray, tuple[int, ...]]:
    """The atlas of a layout that keeps to its tiles: a square grid of them.

    Args:
        corner_uvs: (F, 3, 2) float32.
        layers: (F,) int32 layer of each face, see :mod:`backend.mesh.copies`: each layer of a tile gets a
            cell of its own. None if there is only one.

    Returns:
        ``corner_uvs`` (F, 3, 2) float32 in 0..1, and the number of each cell's tile, ascending: they fill the
        grid from the bottom left. With layers a number is there once per layer.
    """
    numbers = tile_numbers(corner_uvs)
    cells = np.column_stack([numbers, np.zeros_like(numbers) if layers is None else layers])
    cells, index = np.unique(cells, axis=0, return_inverse=True)
    tiles, index = cells[:, 0], index.ravel()
    grid = _grid_size(tiles)
    # Every corner moves from its tile's square to its tile's cell of the grid.
    origin = np.column_stack([(numbers - 1001) % 10, (numbers - 1001) // 10])
    cell = np.column_stack([index % grid, index // grid])
    return ((corner_uvs - origin[:, None] + cell[:, None]) / grid).astype(np.float32), tuple(tiles.tolist())


def spread_tiles(corner_uvs: np.ndarray, tiles: tuple[int, ...]) -> np.ndarray:
    """(F, 3, 2) float32: the layout that :func:`gather_tiles` gathered to this atlas, every face on its tile
    again."""
    grid = _grid_size(tiles)
    index = cells_of_faces(corner_uvs, tiles)
    number = np.array(tiles)[np.minimum(index, len(tiles) - 1)] - 1001
    cell = np.column_stack([index % grid, index // grid])
    origin = np.column_stack([number % 10, number // 10])
    return (corner_uvs * grid - cell[:, None] + origin[:, None]).astype(np.float32)


def cells_of_faces(corner_uvs: np.ndarray, tiles: tuple[int, ...]) -> np.ndarray:
    """(F,) int32: which cell of the atlas of these tiles holds each face (F, 3, 2)."""
    grid = _grid_size(tiles)
    column, row = np.clip(np.floor(corner_uvs.mean(axis=1) * grid), 0, grid - 1).astype(np.int32).T
    return column + grid * row


def cut_cells(atlas: np.ndarray, tiles: tuple[int, ...]) -> list[np.ndarray]:
    """The image of each cell of an atlas (S, S, C)."""
    grid = _grid_size(tiles)
    size = len(atlas) // grid
    # Row 0 of an image is at the top, row 0 of the grid at the bottom.
    rows = [slice(size * row, size * (row + 1)) for row in reversed(range(grid))]
    columns = [slice(size * column, size * (column + 1)) for column in range(grid)]
    return [atlas[rows[index // grid], columns[index % grid]] for index in range(len(tiles))]


def tile_size(tiles: tuple[int, ...], texture_size: int) -> int:
    """Texels along each tile: ``texture_size``, halved while all of them together would exceed
    :data:`MAX_ATLAS_SIZE`."""
    while texture_size * _grid_size(tiles) > MAX_ATLAS_SIZE:
        texture_size //= 2
    return texture_size


def atlas_size(tiles: tuple[int, ...], texture_size: int) -> int:
    """Texels along the atlas."""
    return tile_size(tiles, texture_size) * _grid_size(tiles)


def cut_tiles(atlas: np.ndarray, tiles: tuple[int, ...]) -> dict[int, np.ndarray]:
    """The image of each tile of an atlas (S, S, C) without layers, by its number."""
    return dict(zip(tiles, cut_cells(atlas, tiles), strict=True))


def join_tiles(images: dict[int, np.ndarray], tiles: tuple[int, ...]) -> np.ndarray:
    """The atlas that :func:`cut_tiles` cuts into these images, all (S, S, C) of one size; cells of its grid
    without a tile are 0."""
    size, _, channels = images[tiles[0]].shape
    atlas = np.zeros((size * _grid_size(tiles), size * _grid_size(tiles), channels), images[tiles[0]].dtype)
    for tile, view in cut_tiles(atlas, tiles).items():
        view[...] = images[tile]
    return atlas


def repeat_tiles(atlas: np.ndarray, cells: tuple[int, ...]) -> np.ndarray:
    """The atlas with layers, whose cells show the tiles of these numbers, of an atlas (S, S, C) without."""
    images = cut_tiles(atlas, tuple(sorted(set(cells))))
    size = len(images[cells[0]]) * _grid_size(cells)
    repeated = np.zeros((size, size, *atlas.shape[2:]), atlas.dtype)
    for view, number in zip(cut_cells(repeated, cells), cells, strict=True):
        view[...] = images[number]
    return repeated


def _grid_size(tiles: Sequence[int]) -> int:
    """Cells along the smallest square grid that holds all tiles."""
    return int(np.ceil(np.sqrt(len(tiles))))
