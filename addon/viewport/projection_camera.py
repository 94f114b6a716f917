"""The camera of a reference as a matrix for drawing. No bpy.

A job reports a camera as seven numbers (:meth:`backend.paint.camera.view.View.parameters`) in the space of
its own mesh, whose box is centred at the origin with a longest side of 1.
"""

from collections.abc import Sequence

import numpy as np

_MIN_NEAR = 0.02
"""Distance of the near plane at least, in longest sides of the mesh."""


def normalizing_matrix(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(4, 4) float64 from world space to the space of a job's mesh, in which its cameras are.

    Args:
        vertices: (V, 3), world space.
        faces: (F, 3) vertex indices; those with a vertex that is not finite are left out.
    """
    used = vertices[np.unique(faces[np.isfinite(vertices).all(axis=1)[faces].all(axis=1)])]
    if len(used) == 0:
        return np.eye(4)
    low, high = used.min(axis=0).astype(np.float64), used.max(axis=0).astype(np.float64)
    return box_matrix((low + high) / 2, max((high - low).max(), 1e-30))


def box_matrix(center: np.ndarray, size: float) -> np.ndarray:
    """(4, 4) float64 that moves a box's centre (3,) to the origin and scales its longest side to 1."""
    matrix = np.diag((1 / size, 1 / size, 1 / size, 1.0))
    matrix[:3, 3] = -center / size
    return matrix


def clip_matrix(parameters: Sequence[float], width: int, height: int) -> np.ndarray:
    """(4, 4) float64 from the space of a job's mesh to the clip space of the reference: x and y are -1 at its
    left and lower border and 1 at the others, w is the distance along the view axis.

    Args:
        parameters: azimuth, elevation and roll in degrees, the logarithms of distance and zoom, and where the
            origin appears as fractions of width (from the left) and height (from the top).
        width, height: of the reference.
    """
    azimuth, elevation, roll = np.radians(parameters[:3])
    distance, zoom = np.clip(np.exp(parameters[3]), 0.9, 30), np.exp(parameters[4])
    x, y = parameters[5:7]
    # Columns right, up, back.
    back = np.array(
        (np.sin(azimuth) * np.cos(elevation), -np.cos(azimuth) * np.cos(elevation), np.sin(elevation))
    )
    right = np.array((np.cos(azimuth), np.sin(azimuth), 0.0))
    up = np.cross(back, right)
    axes = np.array(
        (np.cos(roll) * right + np.sin(roll) * up, np.cos(roll) * up - np.sin(roll) * right, back)
    )
    to_camera = np.eye(4)
    to_camera[:3, :3] = axes
    to_camera[2, 3] = -distance
    # The mesh lies within sqrt(3) / 2 of the origin.
    near, far = max(distance - 0.9, _MIN_NEAR), distance + 0.9
    focal = zoom * distance
    projection = np.array(
        (
            (2 * focal, 0, 1 - 2 * x, 0),
            (0, 2 * focal * width / height, 2 * y - 1, 0),
            (0, 0, -(far + near) / (far - near), -2 * far * near / (far - near)),
            (0, 0, -1, 0),
        )
    )
    return projection @ to_camera
