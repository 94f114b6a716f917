"""A view of the reference and how well the mesh explains the image from there."""

from dataclasses import dataclass

import numpy as np

from .view import View

MIN_CONFIDENCE = 0.5
"""Confidence below which the user is asked for the view."""

MAX_VIEW_DEGREES = 2.0
"""Degrees that a view may be turned from the true one above which the user is warned."""


@dataclass(frozen=True)
class Match:
    """A view and how well the outlines agree under it.

    Attributes:
        view: the camera.
        overlap: intersection over union, 0..1.
        error: mean distance between the outlines, as a fraction of the object's size (the root of its area).
        confidence: 0..1 that no other view explains the image as well; 0 before :func:`choose_view`.
        degrees: by which the camera may be turned from the true one, because the outlines agree no better; 0
            if the user gave the direction.
    """

    view: View
    overlap: float
    error: float
    confidence: float = 0.0
    degrees: float = 0.0

    @property
    def confident(self) -> bool:
        """Whether the view may be used without asking the user."""
        return self.confidence >= MIN_CONFIDENCE and self.degrees <= MAX_VIEW_DEGREES


def pack_matches(matches: tuple[Match, ...]) -> np.ndarray:
    """(N, 11) float64: the matches as rows of numbers, for files; see :func:`unpack_matches`."""
    rows = [
        [*match.view.parameters(), match.overlap, match.error, match.confidence, match.degrees]
        for match in matches
    ]
    return np.array(rows, np.float64).reshape(-1, 11)


def unpack_matches(rows: np.ndarray) -> tuple[Match, ...]:
    """The matches that :func:`pack_matches` packed."""
    return tuple(Match(View.from_parameters(row[:7]), *map(float, row[7:])) for row in rows)
