"""The view of the reference, fitted to pins: points clicked on the mesh and in the image. No bpy."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ...backend.api.errors import InvalidSettings

MIN_PINS = 3
"""With fewer, many views fit."""

MAX_PINS = 8
"""The most that an object can have."""


@dataclass(frozen=True)
class PinFitConfig:
    """How the view is searched for."""

    angle_steps: tuple[float, ...] = (2.0, 0.5, 0.1)
    """Degrees between the views that are tried, coarse to fine."""

    other_view_angle: float = 25.0
    """Degrees: views further apart than this are different answers."""

    ambiguous_difference: float = 0.02
    """Views whose errors differ by less fit equally well; relative to the pins' spread in the image."""

    max_error: float = 0.2
    """A view with a larger error does not fit; relative to the pins' spread in the image."""


def view_from_pins(
    points: np.ndarray, image_points: np.ndarray, config: PinFitConfig = PinFitConfig()
) -> tuple[float, float]:
    """The view from which the points project to where they were clicked in the image, by least squares.

    The camera is upright and far away: the projection is orthographic, up to scale and translation.

    Args:
        points: (n, 3) on the mesh, in world space.
        image_points: (n, 2) in the image, x to the right and y up, both in the same unit.

    Returns:
        Azimuth and elevation in degrees, as :class:`Settings` has them.

    Raises:
        InvalidSettings: there are too few or too many points, all in one place, or no single view fits.
    """
    if not MIN_PINS <= len(points) <= MAX_PINS:
        raise InvalidSettings(
            f"The view needs {MIN_PINS} to {MAX_PINS} pins, and there are {len(points)}. Add pins in the "
            "settings."
        )
    points, image_points = points - points.mean(0), image_points - image_points.mean(0)
    spread = np.sqrt((image_points**2).sum())
    if spread < 1e-6 or np.abs(points).max() < 1e-9:
        raise InvalidSettings("All pins are in one place. Clear them, and set them far apart.")

    # Try every view on a coarse grid, (m, 2) azimuths and elevations.
    coarsest = config.angle_steps[0]
    azimuths, elevations = np.arange(-180, 180, coarsest), np.arange(-88, 88.1, coarsest)
    views = _grid(azimuths, elevations)
    errors = _fit_errors(points, image_points, views) / spread
    best = views[errors.argmin()]
    is_other = _camera_directions(views) @ _camera_directions(best[None])[0] < np.cos(
        np.radians(config.other_view_angle)
    )

    # Refine the best one on finer grids around it.
    for coarser, step in pairwise(config.angle_steps):
        offsets = np.arange(-coarser, coarser + step / 2, step)
        nearby = best + _grid(offsets, offsets)
        nearby_errors = _fit_errors(points, image_points, nearby) / spread
        best = nearby[nearby_errors.argmin()]

    if nearby_errors.min() > config.max_error:
        raise InvalidSettings(
            "No view fits the pins. Clear them, and click each point on the mesh and then in the image."
        )
    if errors[is_other].min() - errors.min() < config.ambiguous_difference:
        raise InvalidSettings(
            "The pins fit more than one view. Add one where the mesh is nearer or farther than at the others."
        )
    return (float(best[0]) + 180) % 360 - 180, float(np.clip(best[1], -90, 90))


def _grid(azimuths: np.ndarray, elevations: np.ndarray) -> np.ndarray:
    """(m, 2) every pair of an azimuth and an elevation."""
    return np.stack(np.meshgrid(azimuths, elevations, indexing="ij"), axis=-1).reshape(-1, 2)


def _fit_errors(points: np.ndarray, image_points: np.ndarray, views: np.ndarray) -> np.ndarray:
    """(m,) root of the summed squared distances between the image points and the points as each view projects
    them, scaled to fit best.

    Args:
        points, image_points: (n, 3) and (n, 2), each relative to their mean.
        views: (m, 2) azimuth and elevation in degrees.
    """
    backward, azimuths = _camera_directions(views), np.radians(views[:, 0])
    right = np.stack([np.cos(azimuths), np.sin(azimuths), np.zeros_like(azimuths)], axis=-1)
    projected = np.einsum("mij,nj->mni", np.stack([right, np.cross(backward, right)], axis=1), points)
    # The best scale is fit / size, and this the residual there; a negative scale would flip the image.
    fit, size = (projected * image_points).sum((1, 2)), np.maximum((projected**2).sum((1, 2)), 1e-20)
    return np.sqrt(np.maximum((image_points**2).sum() - np.maximum(fit, 0) ** 2 / size, 0))


def _camera_directions(views: np.ndarray) -> np.ndarray:
    """(m, 3) unit vectors from the mesh to the camera, for (m, 2) azimuths and elevations in degrees."""
    a, e = np.radians(views).T
    return np.stack([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)], axis=-1)
