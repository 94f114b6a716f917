"""The views that the published OrbitPainter was trained on (docs/models/orbitpainter.md#cameras)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from ...render.camera import Orbit, horizontal_orbit, vertical_orbit

FOCAL_LENGTH = 35 / 32
"""A lens of 35 mm on a sensor of 32 mm, in image widths."""

ORBIT_RADIUS = 1.5
"""Distance of the cameras from the centre of the mesh, whose longest side is 1."""

VIEWS_PER_ORBIT = 120
"""Views of an orbit at full length; weights for half as many exist too."""

Frame = TypeVar("Frame")


def orbits(size: int, frames: int = VIEWS_PER_ORBIT + 1, mirror: int = -1) -> list[Orbit]:
    """The horizontal and the vertical orbit, both starting at the front; :func:`close_orbit` adds the last
    frame.

    Args:
        size: width and height in pixels.
        frames: of each clip: 121 or 61, of which 120 or 60 are views.
        mirror: the sign of the vertical cameras' right axis. The published renderer has -1: an improper
            rotation matrix, whose images are mirrored left to right. With 1 the vertical orbit starts with
            the very view that the horizontal one starts with.
    """
    if frames not in (VIEWS_PER_ORBIT + 1, VIEWS_PER_ORBIT // 2 + 1) or mirror not in (1, -1):
        raise ValueError(f"OrbitPainter has no clips of {frames} frames with mirror sign {mirror}.")
    horizontal, vertical = (
        orbit(frames - 1, ORBIT_RADIUS, FOCAL_LENGTH, size) for orbit in (horizontal_orbit, vertical_orbit)
    )
    mirrored = (replace(camera, rotation=camera.rotation * (mirror, 1, 1)) for camera in vertical.cameras)
    return [horizontal, replace(vertical, cameras=tuple(mirrored))]


def close_orbit(views: Sequence[Frame]) -> list[Frame]:
    """The views of an orbit and, as the last frame, the first again, so that the model sees the circle
    close."""
    return [*views, views[0]]
