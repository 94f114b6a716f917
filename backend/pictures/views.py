"""The pictures as views for the bake."""

from dataclasses import replace

import numpy as np

from ..mesh.voxels import interpolate
from ..paint.camera.registration import Registration
from ..paint.draft.image.projection import distance_to_outside
from ..paint.painter import Painting, PictureSet
from ..render.camera import PICTURE_ORBIT, Orbit
from ..render.rasterize import visible_points
from ..render.visibility import edge_distance

PAINTED_TRUST = 0.7
"""Largest trust in a frame that a model has painted, a picture's being 1."""

MIN_SHARE = 0.5
"""Share of a picture in the colour of a place from which on it is a view of that."""


def picture_orbit(number: int, registration: Registration) -> Orbit:
    """The view of a further picture, the reference being number 1."""
    height, width = registration.reference.alpha.shape
    return Orbit(f"{PICTURE_ORBIT}{number}", (registration.match.view.camera(width, height),))


def add_pictures(painting: Painting, pictures: PictureSet) -> Painting:
    """A painting with the further pictures as frames. They win where they see squarely."""
    further = pictures.references[1:]
    frames = [np.round(255 * np.clip(each.color, 0, 1)).astype(np.uint8) for each in further]
    highest = float(painting.preference.max(initial=0.0))
    # The painter's own views keep their order among themselves.
    scale = 1.0 if painting.consistent else PAINTED_TRUST / max(highest, 1e-6)
    preference = np.concatenate([painting.preference * min(scale, 1.0), np.ones(len(further))])
    return replace(painting, frames=[*painting.frames, *frames], preference=preference.astype(np.float32))


def picture_edges(pictures: PictureSet, number: int) -> np.ndarray:
    """(H, W) float32 pixels to the nearest place that the picture does not show, or that another one does."""
    buffer, reference = pictures.buffers[number], pictures.references[number]
    own = np.zeros(buffer.mask.shape, bool)
    share = interpolate(pictures.voxels, pictures.share, visible_points(buffer))
    own[buffer.mask] = share[:, number] > MIN_SHARE
    shown = own & (reference.alpha > 0.5)
    return np.minimum(edge_distance(buffer), distance_to_outside(shown))
