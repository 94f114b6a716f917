"""Bends the reference: reads it along a flow, or so that it shows what pins say where the camera sees it."""

from dataclasses import replace

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator

from ..render.camera import Camera
from .reference import Reference

_CELLS = 128
"""Cells of the bend along the longer side of the image."""

_REACH = 0.5
"""How far a pin bends the image around it, in sizes of the object."""


def bend_reference(reference: Reference, camera: Camera, points: np.ndarray, places: np.ndarray) -> Reference:
    """The reference, bent so that it shows each of the points (N, 3) where the camera sees it.

    Args:
        reference: the image, of the camera's size.
        camera: its view of the mesh.
        points, places: the pins, see :func:`.camera.pins.fit_view`.
    """
    cell = max(camera.width, camera.height) / _CELLS
    seen = camera.project(points)[0] / cell
    missing = places * (camera.width, camera.height) / cell - seen
    reach = _REACH * np.sqrt(max((reference.alpha > 0.5).sum(), 1)) / cell
    # Gaussians around the pins upon a constant, so that nothing grows far from them.
    bend = RBFInterpolator(seen, missing, kernel="gaussian", epsilon=1 / reach, degree=0, smoothing=1e-6)
    columns, rows = (int(np.ceil(side / cell)) for side in (camera.width, camera.height))
    grid = np.stack(np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5), axis=-1)
    flow = bend(grid.reshape(-1, 2)).reshape(rows, columns, 2)
    return warp_image(reference, flow.astype(np.float32))


def warp_image(reference: Reference, flow: np.ndarray) -> Reference:
    """The image, read at each pixel's place plus a flow (h, w, 2) float32, in pixels of the flow."""
    height, width = reference.alpha.shape
    flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_CUBIC) * np.float32(
        [width / flow.shape[1], height / flow.shape[0]]
    )
    return replace(
        reference, color=read_along(reference.color, flow), alpha=read_along(reference.alpha, flow)
    )


def read_along(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """An image (H, W) or (H, W, C) float32, read bilinearly at each pixel's place plus a flow (H, W, 2)
    float32."""
    columns, rows = (np.arange(size, dtype=np.float32) for size in image.shape[1::-1])
    places = np.stack(np.meshgrid(columns, rows), axis=-1) + flow
    return cv2.remap(image, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
