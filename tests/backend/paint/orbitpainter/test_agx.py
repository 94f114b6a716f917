"""Colours through Blender's AgX view transform, and back."""

import numpy as np
import pytest

from backend.paint.orbitpainter import agx


@pytest.mark.parametrize(
    ("linear", "shown"),
    [
        (0.01, 18),
        (0.05, 58),
        (0.1, 87),
        (0.18, 118),
        (0.25, 136),
        (0.4, 160),
        (0.5, 170),
        (0.75, 186),
        (0.9, 193),
        (1, 197),
        ((0.8, 0.1, 0.02), (204, 95, 50)),
    ],
)
def test_agx_encodes_base_colors_as_in_the_published_clips(linear, shown):
    linear = np.broadcast_to(np.array(linear, np.float32), 3)
    color = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(agx.encode(color) * 255, np.broadcast_to(shown, 3), atol=1)


def test_agx_decoding_inverts_the_encoding():
    color = np.random.default_rng(0).uniform(0, 1, (100, 500, 3)).astype(np.float32)
    error = np.abs(agx.decode(agx.encode(color)) - color).max(axis=-1) * 255
    assert error.mean() < 0.1
    assert (error < 0.5).mean() > 0.99


def test_agx_decodes_colors_of_eight_bits_to_within_one_level():
    color = np.random.default_rng(1).uniform(0, 1, (50_000, 3)).astype(np.float32)
    rounded = np.round(agx.encode(color) * 255) / 255
    error = np.abs(agx.decode(rounded) - color) * 255
    assert error.mean() < 1
    assert np.percentile(error, 95) < 2


def test_agx_decodes_an_impossible_color_to_a_near_one():
    found = agx.decode(np.array([[1, 1, 1], [0, 0, 0], [1, 0, 0]], np.float32))
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(found[0], 1, atol=0.01)
    np.testing.assert_allclose(found[1], 0, atol=0.01)
    assert found[2, 0] > found[2, 1:].max() + 0.5
