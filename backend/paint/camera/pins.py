"""The camera of pins: points of the mesh, and where the user sees them in the reference."""

from dataclasses import replace

import numpy as np
from scipy.optimize import least_squares

from .view import View

_CLICK_ERROR = 0.005
"""Standard error of a click, in longer sides of the image."""

_PRIOR = np.array([30.0, 30.0, 8.0, 0.35, 1.0, 1.0, 1.0])
"""Standard deviations of the seven parameters of a view around where the fit starts: cameras are nearly
upright, and pins say little about the distance."""

_START_DISTANCE = 2.5
"""Longest sides of the mesh between it and the camera where the fit starts."""


def fit_view(points: np.ndarray, places: np.ndarray, direction: tuple[float, float], size: tuple) -> View:
    """The camera under which points of the mesh appear at places of the image, by least squares.

    Args:
        points: (N, 3) in the normalised space of :class:`~backend.mesh.surface.Surface`.
        places: (N, 2) fractions of the image's width from the left and of its height from the top.
        direction: (azimuth, elevation) in degrees, near which the camera is.
        size: (width, height) of the image in pixels.
    """
    width, height = size
    pixels = places * size
    unit = _CLICK_ERROR * max(size)
    start = _place_view(points, pixels, direction, size).parameters()

    def residuals(parameters: np.ndarray) -> np.ndarray:
        projected, _ = View.from_parameters(parameters).camera(width, height).project(points)
        return np.concatenate([((projected - pixels) / unit).ravel(), (parameters - start) / _PRIOR])

    def jacobian(parameters: np.ndarray) -> np.ndarray:
        moved = View.from_parameters(parameters).project_jacobian(points, width, height)
        return np.vstack([moved.reshape(-1, 7) / unit, np.diag(1 / _PRIOR)])

    return View.from_parameters(least_squares(residuals, start, jacobian, loss="linear").x)


def _place_view(points: np.ndarray, pixels: np.ndarray, direction: tuple[float, float], size: tuple) -> View:
    """A view from a direction with the zoom and the place that fit the pins best."""
    width, height = size
    view = View(*direction, 0.0, _START_DISTANCE, 1.0, 0.0, 0.0)
    plain, _ = view.camera(width, height).project(points)
    centred, wanted = plain - plain.mean(axis=0), pixels - pixels.mean(axis=0)
    zoom = max((centred * wanted).sum() / max((centred**2).sum(), 1e-12), 1e-3)
    x, y = pixels.mean(axis=0) - zoom * plain.mean(axis=0)
    return replace(view, zoom=zoom, x=x / width, y=y / height)
