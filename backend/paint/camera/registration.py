"""Registers the reference with the mesh: which of its pixels show the object, and from which camera.

With a mask, its own alpha or one that the user drew, the camera is the one under which the mesh has that
outline. Without one, the mesh decides which pixels show it: its contours are looked for in the image.
"""

from dataclasses import dataclass

import numpy as np

from ...mesh.surface import Surface
from ...progress import ProgressCallback
from ..foreground import cut_out
from ..reference import Reference
from .ranking import Match, View, describe_doubts
from .search import find_view

MAX_CANDIDATES = 4
"""Views that a user can choose from."""


@dataclass(frozen=True)
class Registration:
    """A reference and how it lies on the mesh.

    Attributes:
        reference: the reference, whose alpha holds only the object.
        candidates: the likeliest views, best first; empty if no camera was looked for.
        given: whether the user gave the view's direction.
    """

    reference: Reference
    candidates: tuple[Match, ...] = ()
    given: bool = False

    @property
    def match(self) -> Match:
        """The chosen view."""
        return self.candidates[0]

    @property
    def doubtful(self) -> bool:
        """Whether a camera was looked for and may be wrong."""
        return bool(self.candidates) and not self.match.confident

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user about what may be wrong."""
        return describe_doubts(self.match, self.given) if self.candidates else ()


def register_reference(
    surface: Surface,
    reference: Reference,
    direction: tuple[float, float] | None,
    progress: ProgressCallback,
    needs_view: bool = True,
) -> Registration:
    """Finds the object and the camera of a reference.

    Args:
        surface: the mesh, its longest side 1 and centred at the origin.
        reference: the image.
        direction: (azimuth, elevation) in degrees if the user gave them; they are then kept.
        progress: called with the fraction done.
        needs_view: whether the camera is needed; if not, and the reference has an alpha, it is not looked
            for.

    Raises:
        InvalidImage: no object was found.
    """
    cut = cut_out(reference)
    if not needs_view and not reference.opaque:
        return Registration(cut)
    match = find_view(surface, cut.alpha, direction, progress, cut.color)
    return Registration(cut, (match,), direction is not None)


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
