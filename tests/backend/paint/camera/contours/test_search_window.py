"""Where in a reference the object is looked for."""

import numpy as np

from backend.mesh.prepare import clean
from backend.paint.camera.contours.search_window import choose_windows
from backend.paint.camera.registration import register_reference
from backend.paint.camera.view import angle_between
from backend.render.rasterize import rasterize
from tests.meshes import ignore_progress, mesh_data
from tests.scenes import Scene, chair, photograph, reference_of, view_at


def foreground_box(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros((300, 400), bool)
    mask[top:bottom, left:right] = True
    return mask


def test_a_large_foreground_or_none_is_looked_for_everywhere():
    for mask in (foreground_box(50, 50, 200, 250), foreground_box(0, 0, 0, 0)):
        [window] = choose_windows(mask)
        assert window.whole
        assert window.crop(mask).shape == mask.shape


def test_around_a_small_foreground_there_is_a_window_within_the_image():
    mask = foreground_box(330, 100, 390, 140)
    window, whole = choose_windows(mask)
    assert whole.whole
    assert (window.left, window.top, window.width, window.height) == (284, 44, 116, 150)
    assert window.crop(mask).sum() == mask.sum()


def test_a_view_in_a_window_shows_the_same_in_the_whole_image():
    surface = clean(mesh_data(chair()))
    window, _ = choose_windows(foreground_box(100, 120, 160, 180))
    view = view_at(30, 20, zoom=0.6, x=0.45, y=0.6)
    inner = rasterize(surface.vertices, surface.faces, view.camera(window.width, window.height)).mask
    outer = rasterize(surface.vertices, surface.faces, window.extend_view(view).camera(400, 300)).mask
    assert inner.sum() > 500
    # Rounding decides about pixels along the outline.
    assert (window.crop(outer) ^ inner).sum() <= 2
    assert outer.sum() - window.crop(outer).sum() <= 2


def test_an_object_of_a_seventh_of_the_reference_is_found():
    surface = clean(mesh_data(chair()))
    scene = Scene(paint=(0.3, 0.25, 0.5))
    view = view_at(35, 20, zoom=0.13, x=0.3, y=0.6)
    color, mask = photograph(surface, view, scene, shape=(640, 800))
    found = register_reference(surface, reference_of(color), None, ignore_progress)
    assert angle_between(35, 20, found.match.view) < 3
    own = found.reference.alpha > 0.5
    assert (own & mask).sum() / (own | mask).sum() > 0.9
