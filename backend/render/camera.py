"""Pinhole and orthographic cameras.

Axes as in OpenGL and Blender: columns right, up, back; a camera looks along -back. Pixel centres lie at +0.5,
row 0 is the top.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Camera:
    """One view.

    Attributes:
        rotation: (3, 3) float64, columns right, up, back.
        position: (3,) float64.
        focal: focal length in image widths; for an orthographic camera image widths per unit.
        centre: where the optical axis meets the image, as fractions of width (from the left) and of height
            (from the top).
        width, height: pixels.
        orthographic: parallel projection.
    """

    rotation: np.ndarray
    position: np.ndarray
    focal: float
    centre: tuple[float, float] = (0.5, 0.5)
    width: int = 512
    height: int = 512
    orthographic: bool = False

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(pixels, depth)`` of (N, 3) points: (N, 2) float64 column and row, and (N,) distance along the
        view axis."""
        local = (points - self.position) @ self.rotation
        depth = -local[:, 2]
        scale = self.focal * self.width / (1.0 if self.orthographic else depth[:, None])
        pixels = local[:, :2] * scale * (1, -1) + np.array(self.centre) * (self.width, self.height)
        return pixels, depth

    def unproject(self, pixels: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """(N, 3) float64 points that :meth:`project` takes to these pixels (N, 2) and depths (N,)."""
        scale = (1.0 if self.orthographic else depth[:, None]) / (self.focal * self.width)
        across = (pixels - np.array(self.centre) * (self.width, self.height)) * (1, -1) * scale
        return np.column_stack([across, -depth]) @ self.rotation.T + self.position

    def directions_to(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) unit vectors from points (N, 3) towards the camera."""
        if self.orthographic:
            return np.broadcast_to(self.rotation[:, 2], points.shape)
        towards = self.position - points
        return towards / np.maximum(np.linalg.norm(towards, axis=-1, keepdims=True), 1e-30)

    def pack(self) -> np.ndarray:
        """The camera as 20 float64, for numba kernels and files; see :meth:`unpack`."""
        return np.array(
            [
                *self.rotation.ravel(),
                *self.position,
                self.focal * self.width,
                self.centre[0] * self.width,
                self.centre[1] * self.height,
                self.width,
                self.height,
                float(self.orthographic),
                0.0,
                0.0,
            ]
        )

    @staticmethod
    def unpack(packed: np.ndarray) -> "Camera":
        """The camera that :meth:`pack` made."""
        width, height = int(packed[15]), int(packed[16])
        return Camera(
            packed[:9].reshape(3, 3),
            packed[9:12],
            packed[12] / width,
            (packed[13] / width, packed[14] / height),
            width,
            height,
            bool(packed[17]),
        )


PICTURE_ORBIT = "picture_"
"""What the names of the views of further pictures begin with."""


@dataclass(frozen=True)
class Orbit:
    """Views that belong together, in order.

    Attributes:
        name: ``horizontal``, ``vertical``, or ``reference`` and ``picture_2`` …, a single one each.
        cameras: the views.
        notes: sentences for the user about how they were found.
    """

    name: str
    cameras: tuple[Camera, ...]
    notes: tuple[str, ...] = ()


def look_at_origin(azimuth: float, elevation: float, roll: float = 0.0) -> np.ndarray:
    """(3, 3) float64 rotation of a camera that looks at the origin; degrees, azimuth 0 in front (-Y),
    counter-clockwise from above."""
    a, e, r = np.radians([azimuth, elevation, roll])
    back = np.array([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)])
    right = np.array([np.cos(a), np.sin(a), 0.0])
    up = np.array([-np.sin(a) * np.sin(e), np.cos(a) * np.sin(e), np.cos(e)])
    return np.column_stack([np.cos(r) * right + np.sin(r) * up, np.cos(r) * up - np.sin(r) * right, back])


def horizontal_orbit(count: int, radius: float, focal: float, size: int, azimuth: float = 0.0) -> Orbit:
    """``count`` views around the vertical axis, counter-clockwise seen from above, starting at ``azimuth``
    degrees."""
    rotations = [look_at_origin(azimuth + 360.0 * k / count, 0.0) for k in range(count)]
    return Orbit(
        "horizontal", tuple(Camera(r, radius * r[:, 2], focal, width=size, height=size) for r in rotations)
    )


def vertical_orbit(count: int, radius: float, focal: float, size: int, azimuth: float = 0.0) -> Orbit:
    """``count`` views over the top: up from ``azimuth``, behind upside-down, below, and back."""
    rotations = [look_at_origin(azimuth, 360.0 * k / count) for k in range(count)]
    return Orbit(
        "vertical", tuple(Camera(r, radius * r[:, 2], focal, width=size, height=size) for r in rotations)
    )
