"""Gloss: what a surface mirrors of each lamp, against a plain implementation in numpy."""

import numpy as np
import pytest

from backend.paint.draft.image.gloss import Gloss, add_gloss

RANDOM = np.random.default_rng(5)
LAMPS = 60
GLOSS = Gloss(strength=3, roughness=0.5)


def unit(vectors: np.ndarray) -> np.ndarray:
    return np.float32(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


@pytest.fixture
def scene():
    """``(columns, normals, towards, directions)``: lamps reach points as far as random shares are open."""
    directions, normals = unit(RANDOM.normal(size=(LAMPS, 3))), unit(RANDOM.normal(size=(40, 3)))
    towards = unit(normals + 0.7 * unit(RANDOM.normal(size=(40, 3))))
    cosines = 4 / LAMPS * np.maximum(normals @ directions.T, 0)
    columns = cosines * RANDOM.random(cosines.shape)
    kept = (cosines - columns).sum(axis=1, keepdims=True)
    return np.float32(np.hstack([columns, kept])), normals, towards, directions


def naive_gloss(normal, toward, direction) -> float:
    """A microfacet's reflection times pi, for one point and one lamp."""
    if normal @ direction <= 0:
        return 0.0
    half = unit(toward + direction)
    width, shadowing = GLOSS.roughness**4 + 0.09**2, GLOSS.roughness**2 / 2
    spread = width / ((normal @ half) ** 2 * (width - 1) + 1) ** 2
    fresnel = 0.04 + 0.96 * (1 - toward @ half) ** 5
    masking = [1 / (cosine * (1 - shadowing) + shadowing) for cosine in (normal @ direction, normal @ toward)]
    return GLOSS.strength * spread * fresnel * masking[0] * masking[1] / 4


def test_gloss_is_what_the_formula_says(scene):
    columns, normals, towards, directions = scene
    factor = np.array(
        [[naive_gloss(n, v, d) for d in directions] for n, v in zip(normals, towards, strict=True)]
    )
    cosines = 4 / LAMPS * np.maximum(normals @ directions.T, 0)
    found = add_gloss(columns, normals, towards, directions, GLOSS)
    np.testing.assert_allclose(found[:, :-1], columns[:, :-1] * (1 + factor), rtol=2e-3, atol=1e-6)
    kept = columns[:, -1] + (factor * (cosines - columns[:, :-1])).sum(axis=1)
    np.testing.assert_allclose(found[:, -1], kept, rtol=2e-3, atol=1e-6)


def test_a_matt_surface_mirrors_nothing(scene):
    assert add_gloss(*scene, None) is scene[0]


def test_gloss_is_brightest_where_the_lamp_is_mirrored():
    normals = unit(np.column_stack([np.sin(np.linspace(-1, 1, 41)), 0 * np.arange(41), np.ones(41)]))
    lamp, toward = unit(np.array([[0.5, 0, 1]])), unit(np.array([[-0.5, 0, 1]]))
    columns = np.float32(np.hstack([4 * normals @ lamp.T, 0 * normals[:, :1]]))
    found = add_gloss(columns, normals, np.repeat(toward, 41, axis=0), lamp, Gloss(10, 0.3))
    assert np.argmax(found[:, 0] / columns[:, 0]) == 20
