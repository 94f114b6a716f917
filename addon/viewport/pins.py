"""The view that a few points tell, each clicked on the mesh and in the picture. No bpy."""

from itertools import pairwise

import numpy as np

from ...backend.api.errors import InvalidSettings

MIN_PINS, MAX_PINS = 3, 8

_STEPS = (2.0, 0.5, 0.1)
"""Degrees between the directions that are tried, round by round."""

_OTHER = 25.0
"""Degrees: directions further apart than this are two views."""

_ALIKE, _POOR = 0.02, 0.2
"""Of the pins' spread in the picture: views whose errors differ by less fit equally well; a larger error is
no fit."""


def view_from_pins(points: np.ndarray, image_points: np.ndarray) -> tuple[float, float]:
    """The direction from which the points look as they lie in the picture, by least squares.

    The camera is upright and far away: its picture is the points' orthographic one, scaled and moved.

    Args:
        points: (n, 3) on the mesh, in the world's space.
        places: (n, 2) in the picture, x to the right and y up, both in the same unit.

    Returns:
        Azimuth and elevation in degrees, as :class:`Settings` has them.

    Raises:
        InvalidSettings: too few or too many, all in one place, no view fits them, or more than one.
    """
    if not MIN_PINS <= len(points) <= MAX_PINS:
        raise InvalidSettings(
            f"The view needs {MIN_PINS} to {MAX_PINS} pins, and there are {len(points)}. Add Pins in the settings."
        )
    points, image_points = points - points.mean(0), image_points - image_points.mean(0)
    spread = np.sqrt((image_points**2).sum())
    if spread < 1e-6 or np.abs(points).max() < 1e-9:
        raise InvalidSettings("The pins lie in one place. Clear them, and set them far apart.")
    azimuths, elevations = np.arange(-180, 180, _STEPS[0]), np.arange(-88, 88.1, _STEPS[0])
    directions = np.stack(np.meshgrid(azimuths, elevations, indexing="ij"), axis=-1).reshape(-1, 2)
    errors = _fit_errors(points, image_points, directions) / spread
    best = directions[errors.argmin()]
    others = _camera_directions(directions) @ _camera_directions(best[None])[0] < np.cos(np.radians(_OTHER))
    for coarser, step in pairwise(_STEPS):
        around = np.arange(-coarser, coarser + step / 2, step)
        nearby = best + np.stack(np.meshgrid(around, around, indexing="ij"), axis=-1).reshape(-1, 2)
        nearby_errors = _fit_errors(points, image_points, nearby) / spread
        best = nearby[nearby_errors.argmin()]
    if nearby_errors.min() > _POOR:
        raise InvalidSettings(
            "No view fits the pins. Clear them, and click the same points of mesh and picture in turn."
        )
    if errors[others].min() - errors.min() < _ALIKE:
        raise InvalidSettings(
            "The pins fit more than one view. Add one where the mesh is nearer or farther than at the others."
        )
    return (float(best[0]) + 180) % 360 - 180, float(np.clip(best[1], -90, 90))


def _fit_errors(points: np.ndarray, image_points: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(m,) root of the summed squares between the places and the points as each direction shows them, scaled
    to fit best.

    Args:
        points, places: (n, 3) and (n, 2), each around their mean.
        directions: (m, 2) azimuth and elevation in degrees.
    """
    camera_directions, azimuths = _camera_directions(directions), np.radians(directions[:, 0])
    rights = np.stack([np.cos(azimuths), np.sin(azimuths), np.zeros_like(azimuths)], axis=-1)
    projected = np.einsum(
        "mij,nj->mni", np.stack([rights, np.cross(camera_directions, rights)], axis=1), points
    )
    fit, size = (projected * image_points).sum((1, 2)), np.maximum((projected**2).sum((1, 2)), 1e-20)
    # What is left at the best scale, which is fit / size; a negative one would turn the picture upside down.
    return np.sqrt(np.maximum((image_points**2).sum() - np.maximum(fit, 0) ** 2 / size, 0))


def _camera_directions(directions: np.ndarray) -> np.ndarray:
    """(m, 3) unit vectors from the mesh to the camera, of azimuths and elevations in degrees (m, 2)."""
    a, e = np.radians(directions).T
    return np.stack([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)], axis=-1)
