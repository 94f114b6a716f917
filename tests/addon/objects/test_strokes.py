"""Strokes on a reference become the array that a job takes."""

import importlib

import numpy as np

from backend.api.picture import GROUND_STROKE, OBJECT_STROKE
from tests.servers import import_client

import_client()
strokes = importlib.import_module("orbit_texture_tree.addon.objects.strokes")
Stroke, rasterize_strokes = strokes.Stroke, strokes.rasterize_strokes

SIZE = (400, 200)


def test_a_stroke_is_as_long_and_wide_as_it_was_drawn():
    # From (0.25, 0.75) to (0.75, 0.75), y up, 20 of 400 pixels to each side of the line.
    stroke = Stroke("OBJECT", ((0.25, 0.75), (0.5, 0.75), (0.75, 0.75)), 0.05)
    labels = rasterize_strokes((stroke,), SIZE, 200)
    assert labels.shape == (100, 200)
    rows, columns = np.nonzero(labels == OBJECT_STROKE)
    assert (rows.min(), rows.max() + 1) == (15, 35)
    assert (columns.min(), columns.max() + 1) == (40, 160)
    assert set(np.unique(labels)) == {0, OBJECT_STROKE}


def test_a_click_is_a_disc_and_never_less_than_a_pixel():
    disc = rasterize_strokes((Stroke("GROUND", ((0.5, 0.5),), 0.1),), SIZE, 400)
    assert abs((disc == GROUND_STROKE).sum() / (np.pi * 40**2) - 1) < 0.02
    assert rasterize_strokes((Stroke("GROUND", ((0.5, 0.5),), 0.0),), SIZE, 100).any()


def test_everything_outside_of_a_box_is_ground():
    box = Stroke("BOX", ((0.75, 0.25), (0.25, 0.75)))  # from any corner
    labels = rasterize_strokes((box,), SIZE, 400)
    assert (labels[50:150, 100:300] == 0).all()
    assert (labels == GROUND_STROKE).sum() == 400 * 200 - 100 * 200


def test_later_strokes_cover_earlier_ones_and_the_rest_is_cut_off():
    whole = Stroke("OBJECT", ((-2.0, 0.5), (3.0, 0.5)), 1.0)
    labels = rasterize_strokes((whole, Stroke("GROUND", ((1.5, 1.5),), 0.01)), SIZE, 50)
    assert (labels == OBJECT_STROKE).all()
    labels = rasterize_strokes((whole, Stroke("GROUND", ((0.0, 0.0),), 0.2)), SIZE, 50)
    assert labels[-1, 0] == GROUND_STROKE
    assert labels[0, -1] == OBJECT_STROKE
