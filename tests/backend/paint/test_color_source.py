"""Where a texture's colours are from: per texel, and as shares of the area."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from backend.mesh.texels import locate_texels
from backend.paint.color_source import describe_shares, map_color_source, measure_shares
from tests.meshes import surface_of


@pytest.fixture(scope="module")
def bars():
    """Boxes of 1, 2 and 5 units of area."""
    boxes = [
        trimesh.creation.box(np.full(3, np.sqrt(area / 6))).apply_translation((2 * place, 0, 0))
        for place, area in enumerate((1, 2, 5))
    ]
    return surface_of(trimesh.util.concatenate(boxes))


def by_box(points: np.ndarray, _normals: np.ndarray, _face: np.ndarray) -> np.ndarray:
    """(N, 3): the small box is from the picture, the middle one mirrored, the large one invented."""
    box = np.digitize(points[:, 0], [-0.25, 0.1])
    return np.eye(3, dtype=np.float32)[box]


@pytest.mark.parametrize("size", [256, 1024, 2048])
def test_shares_are_those_of_the_area_in_whole_per_cent_that_sum_to_100(bars, size):
    sources = map_color_source(bars, by_box, size)
    assert sources.shape[0] == min(size, 1024)
    shares = measure_shares(bars, sources, np.full((*sources.shape[:2], 1), 255, np.uint8))
    assert list(shares) == ["from_picture", "mirrored", "invented"]
    assert sum(shares.values()) == 100
    assert list(shares.values()) == pytest.approx([12.5, 25, 62.5], abs=1)


def test_surface_that_no_view_sees_does_not_count(bars):
    sources = map_color_source(bars, by_box, 512)
    texels = locate_texels(bars, 512)
    coverage = np.zeros((512, 512, 1), np.uint8)
    coverage.ravel()[texels.place[texels.positions[:, 0] < 0.1]] = 255
    assert list(measure_shares(bars, sources, coverage).values()) == pytest.approx([33, 67, 0], abs=1)


def test_every_texel_says_where_its_colour_is_from(bars):
    texels = locate_texels(bars, 512)
    sources = map_color_source(bars, by_box, 512).reshape(-1, 3)[texels.place]
    expected = 255 * by_box(texels.positions, texels.normals, texels.face).astype(int)
    assert np.abs(sources.astype(int) - expected).max() <= 1


def test_parts_of_one_per_cent_are_not_lost_by_rounding(bars):
    thirds = np.full((256, 256, 3), 85, np.uint8)
    assert sorted(measure_shares(bars, thirds, thirds[..., :1]).values()) == [33, 33, 34]


def test_the_shares_are_told_in_one_sentence():
    shares = {"from_picture": 62, "mirrored": 30, "invented": 8}
    assert describe_shares(shares) == "62 % from the picture, 30 % mirrored, 8 % invented."


def test_a_surface_without_uvs_has_no_map(bars):
    bare = replace(bars, corner_uvs=np.zeros_like(bars.corner_uvs))
    assert map_color_source(bare, by_box, 256) is None
