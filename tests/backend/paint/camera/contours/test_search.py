"""Which of the views that explain a reference is taken."""

from dataclasses import replace

import numpy as np

from backend.mesh.prepare import clean
from backend.paint.camera.contours.score import Fit
from backend.paint.camera.contours.search import rank_fits
from backend.render.rasterize import rasterize
from tests.meshes import mesh_data
from tests.scenes import chair, mug, view_at

BESIDE, BEHIND = view_at(0, 10), view_at(90, 10)


def foreground_of(surface, view) -> np.ndarray:
    return rasterize(surface.vertices, surface.faces, view.camera(200, 160)).mask


def test_of_equal_views_the_one_that_the_foreground_shows_is_taken():
    surface = clean(mesh_data(mug()))
    for view, other in ((BESIDE, BEHIND), (BEHIND, BESIDE)):
        fits = [Fit(other, edge=0.6), Fit(view, edge=0.6)]
        assert rank_fits(surface, fits, foreground_of(surface, view))[0].view == view


def test_a_clearly_better_view_is_taken_whatever_the_foreground_shows():
    surface = clean(mesh_data(mug()))
    fits = [Fit(BESIDE, edge=0.6), Fit(BEHIND, edge=0.8)]
    assert rank_fits(surface, fits, foreground_of(surface, BESIDE))[0].view == BEHIND


def test_without_a_foreground_the_front_is_taken_of_equal_views():
    surface = clean(mesh_data(mug()))
    front, back = view_at(0, 10), view_at(180, 10)
    nothing = np.zeros((160, 200), bool)
    assert rank_fits(surface, [Fit(back, edge=0.6), Fit(front, edge=0.6)], nothing)[0].view == front
    better = [Fit(front, edge=0.6), Fit(back, edge=0.65)]
    assert rank_fits(surface, better, nothing)[0].view == back


def test_the_longer_of_two_contours_is_better_evidence():
    surface = clean(mesh_data(chair()))
    chair_of_view, box = view_at(30, 10), replace(view_at(0, 85), zoom=0.2, x=0.8, y=0.8)
    nothing = np.zeros((160, 200), bool)
    fits = [Fit(box, edge=0.62), Fit(chair_of_view, edge=0.6)]
    assert rank_fits(surface, fits, nothing)[0].view == chair_of_view
    fits = [Fit(box, edge=0.8), Fit(chair_of_view, edge=0.6)]
    assert rank_fits(surface, fits, nothing)[0].view == box
