"""The views that the published OrbitPainter was trained on (specs: orbitpainter b.2 to b.4)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from ...render.camera import Orbit, horizontal_orbit, vertical_orbit

FOCAL = 35 / 32
"""A 35 mm lens before a 32 mm sensor, in image widths."""

RADIUS = 1.5
VIEWS = 120

Frame = TypeVar("Frame")


def orbits(size: int, frames: int = VIEWS + 1, mirror: int = -1) -> list[Orbit]:
    """The horizontal orbit and the vertical one, both from the front; see :func:`closed` for their last
    frame.

    Args:
        size: width and height in pixels.
        frames: of each film: 121 or 61, of which 120 or 60 are views.
        mirror: the sign of the vertical cameras' right axis. The published renderer has -1: an improper
            matrix, whose images are mirrored left to right. 1 makes the vertical orbit start with the very
            view that the horizontal one starts with.
    """
    if frames not in (VIEWS + 1, VIEWS // 2 + 1) or mirror not in (1, -1):
        raise ValueError(f"OrbitPainter has no films of {frames} frames with mirror sign {mirror}.")
    horizontal, vertical = (
        orbit(frames - 1, RADIUS, FOCAL, size) for orbit in (horizontal_orbit, vertical_orbit)
    )
    mirrored = (replace(camera, rotation=camera.rotation * (mirror, 1, 1)) for camera in vertical.cameras)
    return [horizontal, replace(vertical, cameras=tuple(mirrored))]


def closed(views: Sequence[Frame]) -> list[Frame]:
    """The film of an orbit: its views and, as the last frame, the first again, so that the model sees the
    circle close."""
    return [*views, views[0]]
