"""Views that might be the reference's: how well each explains it, which is taken, and how sure that is."""

from dataclasses import dataclass, replace

import numpy as np

from ....mesh.surface import Surface
from ....render.camera import Camera, look_at_origin
from .feature_edges import InnerEdges

FLOOR = 0.0002
"""Difference in error that outlines of a few hundred pixels cannot tell (a few hundredths of a pixel)."""

TIED, RIVAL = 1.2, 3.0
"""Among views with so many times the least error other things decide; up to so many times it they are looked
at more closely."""

SAME_DIRECTION = 8.0
"""Degrees between views below which they are one."""

BAD = 0.03
"""Error at which even a single view is no better than a guess."""

CONFIDENT = 0.5
"""Confidence below which the user is asked for the view."""

LOOSE = 2.0
"""Degrees that a view may be beside the truth from which on the user is told."""


@dataclass(frozen=True)
class View:
    """A camera as seven numbers that least squares may move.

    Attributes:
        azimuth, elevation, roll: degrees.
        distance: from the origin, in longest sides of the mesh.
        zoom: image widths that one unit at the origin covers.
        x, y: where the origin appears, as fractions of the image's width and height.
    """

    azimuth: float
    elevation: float
    roll: float
    distance: float
    zoom: float
    x: float
    y: float

    def camera(self, width: int, height: int) -> Camera:
        """The view as a camera of an image of that size."""
        rotation = look_at_origin(self.azimuth, self.elevation, self.roll)
        return Camera(
            rotation,
            self.distance * rotation[:, 2],
            self.zoom * self.distance,
            (self.x, self.y),
            width,
            height,
        )

    def numbers(self) -> np.ndarray:
        """(7,) float64: azimuth, elevation, roll, the logarithms of distance and zoom, x, y."""
        return np.array(
            [
                self.azimuth,
                self.elevation,
                self.roll,
                np.log(self.distance),
                np.log(self.zoom),
                self.x,
                self.y,
            ]
        )

    @staticmethod
    def of(numbers: np.ndarray) -> "View":
        """The view of :meth:`numbers`, no nearer than the mesh, no further than matters, and no further up
        than the pole."""
        azimuth, elevation, roll, distance, zoom, x, y = map(float, numbers)
        return View(
            azimuth,
            min(max(elevation, -90), 90),
            roll,
            min(max(float(np.exp(distance)), 0.9), 30),
            float(np.exp(zoom)),
            x,
            y,
        )


@dataclass(frozen=True)
class Match:
    """A view and how well the outlines agree under it.

    Attributes:
        view: the camera.
        overlap: intersection over union, 0..1.
        error: mean distance between the outlines, in parts of the object's size (the root of its area).
        confidence: 0..1 that no other view explains the picture as well; 0 while nobody has looked.
        degrees: by which the camera may be turned from the true one, because the outlines agree no better; 0
            where the user gave it.
    """

    view: View
    overlap: float
    error: float
    confidence: float = 0.0
    degrees: float = 0.0

    @property
    def confident(self) -> bool:
        """Whether the view may be used without asking."""
        return self.confidence >= CONFIDENT and self.degrees <= LOOSE


def doubts(match: Match, given: bool) -> tuple[str, ...]:
    """What the user is told of a view that may be wrong; ``given``: whether it was the user's own."""
    if match.confident:
        return ()
    if given:
        return (
            "From the given View the mesh does not have the outline of the object in the reference: check "
            "azimuth and elevation, or choose a reference without background.",
        )
    if match.confidence >= CONFIDENT:
        return (
            "The object in the reference does not quite have the mesh's outline: its view may be "
            f"{match.degrees:.0f}° beside the one that was taken. If the picture sits beside the mesh's "
            "edges, set View to Pins and click the same points on both.",
        )
    side = f"azimuth {(match.view.azimuth + 180) % 360 - 180:.0f}°, elevation {match.view.elevation:.0f}°"
    return (
        f"Which side the reference shows is uncertain: {side} was taken. If the picture sits wrongly, set "
        "View to Given (azimuth 0° is the front) and texture again.",
    )


def apart(matches: list[Match]) -> list[Match]:
    """The best of those that look from about the same direction, best first."""
    kept = []
    for match in matches:
        if all(
            angle_between(match.view.azimuth, match.view.elevation, other.view) > SAME_DIRECTION
            for other in kept
        ):
            kept.append(match)
    return kept


def choose(surface: Surface, matches: list[Match], edges: InnerEdges | None) -> Match:
    """The likeliest of matches, and how sure that is.

    Outlines decide where they differ, then inner edges, then what pictures usually show.
    """
    matches = sorted(matches, key=lambda match: match.error)
    tied = [match for match in matches if match.error < TIED * matches[0].error + FLOOR]
    agreement = {
        match: edges.agreement(surface, match.view.camera) if edges and len(matches) > 1 else 0.0
        for match in matches
    }

    def cost(match: Match) -> float:
        return 100 * unlikeliness(match.view.azimuth, match.view.elevation) - agreement[match]

    best = min(tied, key=cost)
    doubt = max(
        (_doubt(best, match, agreement[best] - agreement[match]) for match in apart([best, *matches])[1:]),
        default=0.0,
    )
    return replace(best, confidence=(1 - doubt) / (1 + (best.error / BAD) ** 2))


def _doubt(best: Match, rival: Match, lead: float) -> float:
    """0..1: how well a rival explains the picture, given the lead of the best in agreement of inner edges."""
    outline = max(0.0, rival.error - best.error) / (best.error + FLOOR)
    return float(np.exp(-outline - max(0.0, lead - 1.0)))


def unlikeliness(azimuth, elevation):
    """Breaks ties that an outline leaves open: pictures show the front, from the level or a little above."""
    behind = (1 - np.cos(np.radians(azimuth))) / 2
    return 0.03 * behind + 0.02 * np.abs(np.asarray(elevation) - 10) / 90


def angle_between(azimuth: float, elevation: float, view: View) -> float:
    """Degrees between a direction and a view's."""
    cosine = look_at_origin(azimuth, elevation)[:, 2] @ look_at_origin(view.azimuth, view.elevation)[:, 2]
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
