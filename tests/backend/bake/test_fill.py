"""Colours for the surface that no view sees."""

import numpy as np

from backend.bake.fill import fill_unseen
from backend.mesh.voxels import face_neighbours, voxelize
from tests.meshes import knot, surface_of

RED_PAINT, BLUE_PAINT = np.float32([200, 0, 0]), np.float32([0, 0, 200])


def line(count: int) -> tuple[np.ndarray, np.ndarray]:
    points = np.column_stack([np.linspace(-0.5, 0.5, count), np.zeros(count), np.zeros(count)]).astype(
        np.float32
    )
    return points, np.tile(np.float32([0, 0, 1]), (count, 1))


def test_unseen_texels_take_the_colour_of_near_surface():
    points, normals = line(32)
    seen = (np.arange(32) < 12) | (np.arange(32) > 20)
    colors = np.where((np.arange(32) < 16)[:, None], RED_PAINT, BLUE_PAINT)
    colors[~seen] = 0
    filled = fill_unseen(points, normals, colors, seen, 0)
    assert np.array_equal(filled[seen], colors[seen])
    assert filled[12, 0] > 150
    assert filled[20, 2] > 150


def test_a_texture_that_no_view_saw_is_grey_not_black():
    points, normals = line(8)
    assert (fill_unseen(points, normals, np.zeros((8, 3), np.float32), np.zeros(8, bool), 0) == 128).all()


def test_one_seen_place_colours_all_others():
    points, normals = line(8)
    colors = np.zeros((8, 3), np.float32)
    colors[3] = RED_PAINT
    assert np.allclose(fill_unseen(points, normals, colors, np.arange(8) == 3, 0), RED_PAINT)


def thin_wall() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cells, points, normals, colours and seen of a wall two voxels thick, red above and blue below; the
    middle of the top is unseen."""
    x, y, z = (
        axis.ravel() for axis in np.meshgrid(np.arange(8, 56), np.arange(8, 56), [31, 32], indexing="ij")
    )
    cells = np.column_stack([x, y, z]).astype(np.int32)
    points = ((cells + 0.5) / 64 - 0.5).astype(np.float32)
    top = z == 32
    normals = np.where(top[:, None], np.float32([0, 0, 1]), np.float32([0, 0, -1]))
    return (
        cells,
        points,
        normals,
        np.where(top[:, None], RED_PAINT, BLUE_PAINT),
        ~(top & (np.abs(x - 32) < 5) & (np.abs(y - 32) < 5)),
    )


def nearest_by_voxel_steps(edges: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(N,) int64: the voxel whose colour reaches each one first, breadth-first over shared faces: the filling
    of Ink3D 3.3, to compare with.

    Args:
        edges: (E, 2) int32 pairs of voxels that share a face.
        seen: (N,) bool; a seen voxel keeps its own.

    Returns:
        Indices of seen voxels, -1 where none can be reached.
    """
    origin = np.where(seen, np.arange(len(seen)), -1)
    while True:
        reach = origin[edges] >= 0
        frontier = edges[reach[:, 0] & ~reach[:, 1]], edges[reach[:, 1] & ~reach[:, 0]][:, ::-1]
        giver, taker = np.concatenate(frontier).T
        if not len(taker):
            return origin
        origin[taker] = origin[giver]


def test_a_hole_in_a_thin_wall_takes_the_colour_of_its_own_side():
    cells, points, normals, truth, seen = thin_wall()
    colors = np.where(seen[:, None], truth, 0)
    by_steps = colors[nearest_by_voxel_steps(face_neighbours(cells, 64), seen)]
    assert (by_steps[~seen] == BLUE_PAINT).all(axis=1).mean() > 0.5
    assert np.abs(fill_unseen(points, normals, colors, seen, 0)[~seen] - RED_PAINT).max() < 1


def test_a_smooth_colour_goes_on_over_what_is_unseen():
    voxels = voxelize(surface_of(knot()), 128)
    truth = 128 + 100 * voxels.positions
    seen = (voxels.cells // 4).sum(axis=1) % 8 != 0
    colors = np.where(seen[:, None], truth, 0).astype(np.float32)
    error = np.abs(fill_unseen(voxels.positions, voxels.normals, colors, seen, 0) - truth)[~seen]
    assert error.mean() < 1.5
    assert error.max() < 10
