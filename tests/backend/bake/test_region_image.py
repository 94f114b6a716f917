"""The image of a region that was repainted."""

import numpy as np
import pytest

from backend.bake.region_image import render_region
from backend.mesh.texels import locate_texels, to_atlas
from backend.paint.preview import PREVIEW_SIZE
from tests.meshes import knot, surface_of


@pytest.fixture(scope="module")
def surface():
    return surface_of(knot())


def paint(surface, inside: np.ndarray) -> np.ndarray:
    """(S, S, 3) uint8: red faces where ``inside`` (F,) says so, green ones elsewhere."""
    texels = locate_texels(surface, 512)
    colors = np.where(inside[texels.face, None], (255.0, 0, 0), (0, 255.0, 0)).astype(np.float32)
    return to_atlas(texels, colors)


def is_red(image: np.ndarray) -> np.ndarray:
    return (image[..., 0] > 150) & (image[..., 1] < 100)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("is_mask", [False, True])
def test_it_shows_the_region_large_and_in_the_middle(surface, axis, side, is_mask):
    centres = surface.vertices[surface.faces].mean(axis=1)
    place = centres[np.argmax(side * centres[:, axis])]
    near = np.linalg.norm(centres - place, axis=1) < 0.15
    inside = near & (side * surface.face_normals[:, axis] > 0.5)
    region = np.zeros(surface.job_faces.max() + 1, np.uint8)
    region[surface.job_faces[inside]] = 1
    image = paint(surface, inside)
    winding = np.ones(len(surface.faces), np.int8)
    mask = is_red(image).astype(np.uint8) * 255 if is_mask else region
    shown = is_red(render_region(surface, image, mask, winding))
    assert shown.shape == (PREVIEW_SIZE, PREVIEW_SIZE)
    assert shown.mean() > 0.1
    rows, columns = np.nonzero(shown)
    assert abs(rows.mean() / PREVIEW_SIZE - 0.5) < 0.2
    assert abs(columns.mean() / PREVIEW_SIZE - 0.5) < 0.2


def test_a_region_all_around_and_a_tiny_one_have_an_image(surface):
    everything = np.ones(surface.job_faces.max() + 1, np.uint8)
    image = paint(surface, np.ones(len(surface.faces), bool))
    assert is_red(render_region(surface, image, everything, None)).any()
    tiny = np.zeros(len(everything), np.uint8)
    tiny[surface.job_faces[7]] = 1
    assert render_region(surface, image, tiny, None).any()
