"""The baked texture on a grid's cells, and the refinement merged into it."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from backend import records
from backend.bake.bake import Texture
from backend.mesh.surface import Surface
from backend.mesh.texels import Texels, locate_texels, to_atlas
from backend.refine.closest_points import closest_points
from backend.refine.texture_merge import merge_refinement
from backend.refine.trellis2.dual_grid import DualGrid, dual_grid
from backend.refine.trilinear import interpolate_trilinear
from backend.refine.voxel_colors import DEFAULT_MATERIAL, VoxelColors, voxel_colors
from backend.refine.voxel_grid import VoxelGrid
from backend.results import encode_textures
from tests.meshes import decode_png, knot, psnr, seam_differences, surface_of

ATLAS_SIZE, GRID_RESOLUTION = 512, 128


@pytest.fixture(scope="module")
def surface() -> Surface:
    return surface_of(knot())


@pytest.fixture(scope="module")
def texels(surface) -> Texels:
    return locate_texels(surface, ATLAS_SIZE)


@pytest.fixture(scope="module")
def grid(surface) -> DualGrid:
    return dual_grid(surface.vertices, surface.faces, GRID_RESOLUTION)


def smooth(points: np.ndarray) -> np.ndarray:
    """(N, 3) float32 0..255: colours that hardly change over a cell."""
    return np.float32(128) + 90 * np.sin(points * np.float32([5, 7, 6]) + np.float32([0, 1, 2]))


def centres(grid: VoxelGrid) -> np.ndarray:
    return ((grid.cells + 0.5) / grid.resolution - 0.5).astype(np.float32)


@pytest.fixture(scope="module")
def texture(texels) -> Texture:
    """Smooth colours under fine noise; seen well for x < -0.1, badly to 0.15, and not at all beyond."""
    x = texels.positions[:, 0]
    noise = np.random.default_rng(0).normal(0, 8, (len(texels), 3))
    confidence = np.where(x < -0.1, 220, 30).astype(np.float32)
    seen = x < 0.15
    maps = [
        to_atlas(texels, values)
        for values in (
            smooth(texels.positions) + noise,
            np.where(seen, confidence, 0)[:, None],
            255.0 * seen[:, None],
        )
    ]
    return Texture(*maps, np.zeros((ATLAS_SIZE, ATLAS_SIZE, 3), np.uint8), float(seen.mean()))


@pytest.fixture(scope="module")
def colors(surface, texture, grid) -> VoxelColors:
    return voxel_colors(surface, texture, grid)


def decodings(grid: VoxelGrid, change: float, alpha: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Before and after of a model that blurs, errs by 3 levels and then adds ``change`` levels to red."""
    material = np.tile(np.float32([0.2, 0.7, 1.0]), (len(grid), 1))
    before = np.column_stack([(smooth(centres(grid)) + 3) / 255, material]).astype(np.float32)
    after = before + np.float32([change / 255, 0, 0, 0, 0, alpha - 1])
    return before, after


def test_closest_points_are_those_of_a_search_over_all_triangles(surface, grid):
    face, barycentric = closest_points(grid, surface.vertices, surface.faces)
    some = np.random.default_rng(1).choice(len(grid), 60, replace=False)
    points = centres(grid)[some].astype(np.float64)
    mesh = trimesh.Trimesh(surface.vertices, surface.faces, process=False)
    expected = np.array(
        [
            np.linalg.norm(
                trimesh.triangles.closest_point(mesh.triangles, np.tile(point, (len(mesh.faces), 1))) - point,
                axis=1,
            ).min()
            for point in points
        ]
    )
    weights = np.column_stack([barycentric, 1 - barycentric.sum(axis=1)])[some]
    found = np.einsum("nc,ncx->nx", weights, surface.vertices[surface.faces[face[some]]])
    assert np.abs(np.linalg.norm(found - points, axis=1) - expected).max() < 1e-5
    assert weights.min() > -1e-6


def test_voxel_colors_hold_the_textures_colour_confidence_and_coverage(colors, grid):
    inner = centres(grid)[:, 0]
    assert np.abs(255 * colors.values[:, :3] - smooth(centres(grid))).mean() < 4
    assert (colors.values[:, 3:] == np.float32(DEFAULT_MATERIAL)).all()
    badly = (inner > -0.08) & (inner < 0.13)
    for inside, values, expected in (
        (inner < -0.12, colors.confidence, 220 / 255),
        (badly, colors.confidence, 30 / 255),
        (inner < 0.13, colors.coverage, 1),
        (inner > 0.17, colors.coverage, 0),
    ):
        assert (np.abs(values[inside] - expected) < 0.01).mean() > 0.995, (
            "but for a few where islands lie close"
        )


def test_a_cell_takes_the_mean_of_the_texels_in_it(surface, texture, texels):
    grey = np.full((ATLAS_SIZE, ATLAS_SIZE, 3), 128, np.uint8)
    noise = to_atlas(texels, 128 + np.random.default_rng(4).normal(0, 20, (len(texels), 3)))
    remaining = []
    for resolution in (512, 32):  # half a texel and seven along a cell's side
        grid = dual_grid(surface.vertices, surface.faces, resolution)
        plain, noisy = (
            voxel_colors(surface, replace(texture, base_color=image), grid).values[:, :3]
            for image in (grey, noise)
        )
        remaining.append(255 * (noisy - plain).std() / 20)
    assert remaining[0] > 0.5
    assert remaining[1] < 0.25


def naive_lookup(grid: VoxelGrid, values: np.ndarray, point: np.ndarray) -> np.ndarray:
    row = {tuple(cell): index for index, cell in enumerate(grid.cells.tolist())}
    q = (point + 0.5) * grid.resolution
    total, result = 0.0, np.zeros(values.shape[1])
    for corner in np.ndindex(2, 2, 2):
        cell = np.floor(q - 0.5).astype(int) + corner
        if tuple(cell) in row:
            weight = np.prod(1 - np.abs(q - cell - 0.5))
            total, result = total + weight, result + weight * values[row[tuple(cell)]]
    return result / total


def test_interpolation_is_the_trilinear_mean_of_occupied_cells(surface):
    grid = dual_grid(surface.vertices, surface.faces, 24)
    values = np.random.default_rng(2).random((len(grid), 5), np.float32)
    points = surface.vertices[::97]
    expected = [naive_lookup(grid, values, point.astype(np.float64)) for point in points]
    assert np.abs(interpolate_trilinear(grid, values, points) - expected).max() < 1e-4


def test_interpolation_far_from_all_cells_takes_the_nearest_value():
    grid = VoxelGrid(np.int32([[1, 2, 3], [6, 6, 6]]), 8)
    found = interpolate_trilinear(
        grid,
        np.float32([[1], [2]]),
        np.float32([[-0.4, -0.4, -0.4], [0.45, 0.45, 0.0], [0.3125, 0.3125, 0.3125]]),
    )
    assert found.ravel().tolist() == [1, 2, 2]


def test_a_refinement_that_changes_nothing_is_the_identity(surface, texture, grid, colors):
    before, _ = decodings(grid, 0)
    assert merge_refinement(surface, texture, grid, colors, before, before.copy()) is texture


def at_texels(image: np.ndarray, texels: Texels) -> np.ndarray:
    return image.reshape(-1, image.shape[2])[texels.place].astype(np.float32)


def test_a_change_is_added_to_the_detail_where_confidence_is_poor(surface, texture, texels, grid, colors):
    refined = merge_refinement(surface, texture, grid, colors, *decodings(grid, 40))
    x = texels.positions[:, 0]
    change = at_texels(refined.base_color, texels) - at_texels(texture.base_color, texels)
    assert (change[x < -0.13] == 0).mean() > 0.999
    assert np.abs(change[x < -0.13]).max() < 5
    badly = (x > -0.07) & (x < 0.12)
    assert np.abs(np.median(change[badly], axis=0) - (40, 0, 0)).max() == 0
    assert (np.abs(change[badly] - (40, 0, 0)).max(axis=1) <= 1).mean() > 0.97, (
        "clipping and seams aside, the noise is still there"
    )


def test_good_confidence_keeps_the_texture_within_one_step_on_average(surface, texture, texels, grid, colors):
    random = np.random.default_rng(3)
    before, after = decodings(grid, 0)
    after[:, :3] = random.random((len(grid), 3))
    refined = merge_refinement(surface, texture, grid, colors, before, after)
    good = at_texels(texture.confidence, texels)[:, 0] >= 0.6 * 255
    change = np.abs(at_texels(refined.base_color, texels) - at_texels(texture.base_color, texels))
    assert change[good].mean() < 1
    assert change[~good].mean() > 20


def test_what_no_view_saw_takes_the_decoded_colour(surface, texture, texels, grid, colors):
    refined = merge_refinement(surface, texture, grid, colors, *decodings(grid, 40))
    deep = texels.positions[:, 0] > 0.2
    expected = np.clip(smooth(texels.positions[deep]) + 3 + np.float32([40, 0, 0]), 0, 255)
    error = np.abs(at_texels(refined.base_color, texels)[deep] - expected)
    assert np.median(error) < 1.5
    assert psnr(at_texels(refined.base_color, texels)[deep], expected) > 40


def test_the_merged_texture_has_no_step_between_seen_and_unseen(surface, texture, texels, grid, colors):
    flat = replace(texture, base_color=np.full_like(texture.base_color, 100))
    before, after = decodings(grid, 0)
    before[:, :3], after[:, :3] = 120 / 255, 150 / 255  # a model that errs by 20 and changes by 30
    refined = merge_refinement(surface, flat, grid, colors, before, after)
    red, x = at_texels(refined.base_color, texels)[:, 0], texels.positions[:, 0]
    seen, unseen = (x > -0.05) & (x < 0.13), x > 0.2
    assert (np.abs(red[seen] - 130) <= 1).mean() > 0.999
    assert (np.abs(red[unseen] - 150) <= 1).mean() > 0.999
    # Along x a cell is 1/128 wide: no step between neighbours of half a cell may stand out.
    order = np.argsort(x[x > 0.1])
    profile = red[x > 0.1][order]
    bins = ((x[x > 0.1][order] - 0.1) * 2 * GRID_RESOLUTION).astype(int)
    means = np.bincount(bins, profile) / np.maximum(np.bincount(bins), 1)
    assert np.abs(np.diff(means)).max() < 8


def test_both_sides_of_uv_seams_match_after_the_merge(surface, texture, texels, grid, colors):
    plain = replace(texture, base_color=np.full_like(texture.base_color, 128))
    refined = merge_refinement(surface, plain, grid, colors, *decodings(grid, 60))
    for image, limit in ((refined.base_color, 4), (refined.metallic, 2), (refined.roughness, 2)):
        difference = seam_differences(surface, image.astype(np.float32))
        assert np.quantile(difference, 0.99) <= limit
        assert difference.mean() < 0.7


def test_material_maps_are_the_refinements_with_alpha_if_see_through(surface, texture, texels, grid, colors):
    opaque = merge_refinement(surface, texture, grid, colors, *decodings(grid, 10))
    assert opaque.alpha is None
    assert np.abs(at_texels(opaque.metallic, texels) - 51).max() <= 1
    assert np.abs(at_texels(opaque.roughness, texels) - 178.5).max() <= 1
    before, after = decodings(grid, 10)
    glass = centres(grid)[:, 2] > 0.1
    after[glass, 5] = 0.2
    clear = merge_refinement(surface, texture, grid, colors, before, after)
    z = texels.positions[:, 2]
    assert clear.alpha.shape == (ATLAS_SIZE, ATLAS_SIZE, 1)
    assert np.abs(at_texels(clear.alpha, texels)[z > 0.12] - 51).max() <= 1
    assert (at_texels(clear.alpha, texels)[z < 0.08] == 255).all()


def test_clear_cells_that_no_view_saw_do_not_make_the_material_see_through(surface, texture, grid, colors):
    before, after = decodings(grid, 10)
    after[colors.coverage < 0.5, 5] = 0.1
    assert merge_refinement(surface, texture, grid, colors, before, after).alpha is None


def test_a_texture_that_no_view_saw_becomes_the_decoded_one(surface, texture, texels, grid):
    unseen = replace(
        texture,
        confidence=np.zeros_like(texture.confidence),
        coverage=np.zeros_like(texture.coverage),
        covered=0.0,
    )
    before, after = decodings(grid, 10)
    refined = merge_refinement(surface, unseen, grid, voxel_colors(surface, unseen, grid), before, after)
    error = np.abs(
        at_texels(refined.base_color, texels)
        - np.clip(smooth(texels.positions) + np.float32([13, 3, 3]), 0, 255)
    )
    assert error.mean() < 1.5
    assert refined.alpha is None


@pytest.mark.parametrize("alpha", [1.0, 0.2])
def test_material_maps_survive_the_disk_and_reach_the_client(surface, texture, grid, colors, alpha):
    refined = merge_refinement(surface, texture, grid, colors, *decodings(grid, 10, alpha))
    again = records.load_texture(records.save_texture(refined))
    for name, value in vars(refined).items():
        assert np.array_equal(getattr(again, name), value), name
    plain = {"base_color", "confidence", "coverage", "disagreement"}
    assert set(encode_textures(texture, (1001,))) == plain
    files = encode_textures(again, (1001,))
    assert set(files) == plain | {"metallic", "roughness"} | ({"alpha"} if alpha < 1 else set())
    assert np.array_equal(decode_png(files["roughness"]), refined.roughness[..., 0])
