"""Colours for the surface that no view sees."""

import numpy as np

from backend.bake.fill import fill_unseen, nearest_by_steps
from backend.mesh.voxels import side_neighbours, voxelize
from tests.meshes import knot, surface_of

RED, BLUE = np.float32([200, 0, 0]), np.float32([0, 0, 200])


def line(count: int) -> tuple[np.ndarray, np.ndarray]:
    points = np.column_stack([np.linspace(-0.5, 0.5, count), np.zeros(count), np.zeros(count)]).astype(
        np.float32
    )
    return points, np.tile(np.float32([0, 0, 1]), (count, 1))


def test_unseen_texels_take_the_colour_of_near_surface():
    points, normals = line(32)
    seen = (np.arange(32) < 12) | (np.arange(32) > 20)
    colors = np.where((np.arange(32) < 16)[:, None], RED, BLUE)
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
    colors[3] = RED
    assert np.allclose(fill_unseen(points, normals, colors, np.arange(8) == 3, 0), RED)


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
        np.where(top[:, None], RED, BLUE),
        ~(top & (np.abs(x - 32) < 5) & (np.abs(y - 32) < 5)),
    )


def test_what_a_thin_wall_hides_takes_the_colour_of_its_own_side_where_steps_would_bleed_through():
    cells, points, normals, truth, seen = thin_wall()
    colors = np.where(seen[:, None], truth, 0)
    by_steps = colors[nearest_by_steps(side_neighbours(cells, 64), seen)]
    assert (by_steps[~seen] == BLUE).all(axis=1).mean() > 0.5
    assert np.abs(fill_unseen(points, normals, colors, seen, 0)[~seen] - RED).max() < 1


def test_steps_reach_the_nearest_seen_voxel_and_none_on_another_piece():
    edges = np.array([[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [6, 7]], np.int32)
    assert nearest_by_steps(edges, np.isin(np.arange(8), [0, 5])).tolist() == [0, 0, 0, 5, 5, 5, -1, -1]


def test_a_smooth_colour_goes_on_over_what_is_unseen():
    voxels = voxelize(surface_of(knot()), 128)
    truth = 128 + 100 * voxels.positions
    seen = (voxels.cells // 4).sum(axis=1) % 8 != 0
    colors = np.where(seen[:, None], truth, 0).astype(np.float32)
    error = np.abs(fill_unseen(voxels.positions, voxels.normals, colors, seen, 0) - truth)[~seen]
    assert error.mean() < 1.5
    assert error.max() < 10
