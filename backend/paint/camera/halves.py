"""Whether a reference shows the mesh, or the whole of which the mesh is half."""

from collections.abc import Callable

import numpy as np

from ...api.errors import InvalidImage
from ...image import resize_longest
from ...mesh.surface import Surface
from ...progress import ProgressCallback
from ...render.rasterize import rasterize
from ..foreground import cut_out, segment
from ..reference import Reference
from .contours.features import observe_image
from .contours.score import score_view
from .outline import intersection_over_union
from .registration import REFINED_SIZE, Registration

MIN_OVERLAP = 0.8
"""Intersection over union of the better silhouette with an object that was cut out without the mesh, from
which on that decides."""

OVERLAP_LEAD = 0.02
"""By how much the whole's overlap exceeds that of the half at least."""

SCORE_LEAD = 0.15
"""By how much the whole's score exceeds that of the half at least, where the overlap does not decide."""


def register_half_or_whole(
    half: Surface,
    whole: Surface,
    reference: Reference,
    register_half: Callable[[ProgressCallback], Registration],
    register_whole: Callable[[ProgressCallback], Registration],
    progress: ProgressCallback,
) -> tuple[Registration, bool]:
    """Registers both with a reference, and returns the registration of the one that it shows and whether that
    is the whole; where both explain it alike it is the half.

    Args:
        half: the mesh.
        whole: the mesh and its mirror image.
        reference: the image.
        register_half, register_whole: find object and camera for each.
        progress: called with the fraction done.

    Raises:
        InvalidImage: no object was found with either.
    """
    try:
        with_half = register_half(lambda done: progress(0.5 * done))
    except InvalidImage:
        return register_whole(lambda done: progress(0.5 + 0.5 * done)), True
    try:
        with_whole = register_whole(lambda done: progress(0.5 + 0.5 * done))
    except InvalidImage:
        return with_half, False
    if not _shows_whole(reference, (half, with_half), (whole, with_whole)):
        return with_half, False
    return with_whole, True


def _shows_whole(reference: Reference, *found: tuple[Surface, Registration]) -> bool:
    """Whether the second of two surfaces with their registrations explains the reference clearly better."""
    mask = _find_mask(reference)
    if mask is not None:
        half, whole = (
            intersection_over_union(_draw(surface, each, mask.shape), mask) for surface, each in found
        )
        if max(half, whole) >= MIN_OVERLAP:
            return whole > half + OVERLAP_LEAD
    seen = observe_image(resize_longest(reference.color, REFINED_SIZE))
    half, whole = (score_view(surface, each.match.view, seen) for surface, each in found)
    return whole > half + SCORE_LEAD


def _find_mask(reference: Reference) -> np.ndarray | None:
    """(H, W) bool: the object as it is cut out without a mesh; None if that is doubtful."""
    if not reference.opaque:
        return cut_out(reference).alpha > 0.5
    alpha, doubts = segment(reference.color)
    return None if doubts else alpha > 0.5


def _draw(surface: Surface, registration: Registration, shape: tuple[int, int]) -> np.ndarray:
    """(H, W) bool: the silhouette under the registered view."""
    camera = registration.match.view.camera(*shape[::-1])
    return rasterize(surface.vertices, surface.faces, camera).mask
