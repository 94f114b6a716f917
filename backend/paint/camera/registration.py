"""Registers the reference with the mesh: which of its pixels show the object, and from which camera.

With a mask, its own alpha or one that the user drew, the camera is the one under which the mesh has that
outline. Without one, the mesh decides which pixels show it: its contours are looked for in the image.
"""

import contextlib
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ...api.errors import InvalidImage
from ...image import resize_longest
from ...mesh.surface import Surface
from ...parallel import map_parallel
from ...progress import ProgressCallback
from ...render.rasterize import rasterize
from ..foreground import add_mesh_interior, cut_out, segment
from ..matting import propose_alpha
from ..reference import Reference
from ..segmentation import propose_mask
from .contours.confidence import continues_to_border, cut_off_fraction, estimate_confidence
from .contours.features import observe_image
from .contours.mask import find_mask
from .contours.occluder import find_occluder
from .contours.score import Fit, score_view
from .contours.search import find_views
from .contours.search_window import choose_windows
from .contours.second_object import shows_second_object
from .match import Match
from .notes import (
    GOES_ON,
    MAX_CUT_OFF,
    OCCLUDED,
    SHOWN_TWICE,
    describe_cut_off,
    describe_doubts,
    describe_parts,
)
from .outline import intersection_over_union, outline_mask
from .pins import fit_view
from .search import find_view, refine_view
from .sector import EVERYWHERE, Sector
from .view import Direction, View

MAX_CANDIDATES = 4
"""Views that a user can choose from."""

CERTAIN_OVERLAP = 0.97
"""Intersection over union of the mesh's silhouette with an object that was cut out without it from which on
both are right."""

NOTHING_FOUND = (
    "Nothing of the mesh's shape was found in the reference image. Use an image that shows the whole object, "
    "or give it a mask."
)

MIN_SCORE = 0.5
"""Score of the best view below which nothing of the mesh's shape is in the reference."""

REFINED_SIZE = 640
"""Pixels along the longer side at which the view is fitted to the mask that was found."""

MAX_SCORE_LOSS = 0.25
"""By how much the score of a view may fall when it follows the outline of the mask."""


@dataclass(frozen=True)
class Hypotheses:
    """Which pixels show the object, according to others than the mesh.

    Attributes:
        masks: (H, W) bool each, made without the mesh; the first is the segmented foreground.
        doubts: sentences about that.
        segmentation: the folder of Segment Anything, which is asked for one more mask where the mesh lies;
            None if there is none.
    """

    masks: tuple[np.ndarray, ...]
    doubts: tuple[str, ...] = ()
    segmentation: Path | None = None

    @property
    def foreground(self) -> np.ndarray:
        """(H, W) bool: the segmented foreground."""
        return self.masks[0]


@dataclass(frozen=True)
class FittedMask:
    """The object's mask under a view.

    Attributes:
        fit: the view.
        silhouette: (H, W) bool of the mesh.
        mask: (H, W) bool.
        notes: sentences for the user.
    """

    fit: Fit
    silhouette: np.ndarray
    mask: np.ndarray
    notes: tuple[str, ...] = ()


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
    direction: Direction | None,
    progress: ProgressCallback,
    needs_view: bool = True,
    matting: Path | None = None,
    segmentation: Path | None = None,
    pins: tuple[np.ndarray, np.ndarray] | None = None,
    sector: Sector = EVERYWHERE,
) -> Registration:
    """Finds the object and the camera of a reference.

    Args:
        surface: the mesh, its longest side 1 and centred at the origin.
        reference: the image.
        direction: (azimuth, elevation) in degrees if the user gave them; they are then kept.
        progress: called with the fraction done.
        needs_view: whether the camera is needed; if not, and the reference has an alpha, it is not looked
            for.
        matting: the folder of the matting model, which proposes a mask for a reference without one; None if
            there is none.
        segmentation: the folder of Segment Anything, likewise.
        pins: points and places, see :func:`.pins.fit_view`; they place the camera, near ``direction``.
        sector: the directions among which the camera is looked for.

    Raises:
        InvalidImage: no object was found.
    """
    if pins is not None:
        view = fit_view(*pins, direction, reference.alpha.shape[::-1])
        return _cut_out_under(surface, reference, view, matting)
    if not reference.opaque:
        cut = cut_out(reference)
        if not needs_view:
            return Registration(cut)
        match = find_view(surface, cut.alpha, direction, progress, cut.color, sector=sector)
        notes = describe_cut_off(surface, match.view, cut.alpha.shape) + describe_parts(cut.alpha, match)
        return Registration(replace(cut, mask_notes=notes), (match,), direction is not None)
    return _find_object(surface, reference, direction, sector, progress, matting, segmentation)


def _find_object(
    surface: Surface,
    reference: Reference,
    direction: Direction | None,
    sector: Sector,
    progress: ProgressCallback,
    matting: Path | None,
    segmentation: Path | None,
) -> Registration:
    """Object and camera of a reference without a mask."""
    # A plain background: the object is cut out without the mesh, and if its outline is the mesh's, all is
    # said.
    alpha, doubts = segment(reference.color)
    cut = None if doubts else _cut_out_with(reference, alpha)
    if cut and (
        found := _find_certain_view(surface, cut, direction, sector, lambda done: progress(0.2 * done))
    ):
        return found
    # The same with the mask of a matting model, if there is one.
    proposed, matting_notes = propose_alpha(matting, reference.color) if matting else (None, ())
    cut = None if proposed is None else _cut_out_with(reference, proposed)
    if cut and (found := _find_certain_view(surface, cut, direction, sector, lambda done: progress(0.2))):
        return found
    # Any other: the mesh's contours are looked for.
    masks = tuple(each > 0.5 for each in (alpha, proposed) if each is not None)
    matches, alpha, notes = _search_contours(
        surface,
        reference.color,
        Hypotheses(masks, doubts, segmentation),
        direction,
        sector,
        lambda done: progress(0.2 + 0.8 * done),
    )
    cut = replace(reference.with_alpha(alpha), segmented=True, mask_notes=notes + matting_notes)
    return Registration(cut, matches, direction is not None)


def _search_contours(
    surface: Surface,
    color: np.ndarray,
    hypotheses: Hypotheses,
    direction: Direction | None,
    sector: Sector,
    progress: ProgressCallback,
) -> tuple[tuple[Match, ...], np.ndarray, tuple[str, ...]]:
    """Object and camera by the mesh's contours.

    Args:
        surface: the mesh.
        color: (H, W, 3) float32 sRGB, the reference.
        hypotheses: about the object.
        direction: (azimuth, elevation) in degrees if the user gave them.
        sector: the directions to begin with, if not.
        progress: called with the fraction done.

    Returns:
        the likeliest views, best first; the alpha (H, W) float32; sentences for the user.

    Raises:
        InvalidImage: no object was found.
    """
    fits, confidence = _search_windows(
        surface, color, hypotheses.foreground, direction, sector, lambda done: progress(0.9 * done)
    )
    if fits[0].score < MIN_SCORE:
        raise InvalidImage(NOTHING_FOUND)
    # The mask under the best view, and meanwhile whether the reference shows the mesh twice.
    fitted, is_shown_twice = map_parallel(
        lambda work: work(),
        (
            partial(_fit_mask, surface, color, fits[0], hypotheses, direction is not None),
            partial(shows_second_object, surface, color, fits[0]),
        ),
    )
    progress(1.0)
    silhouette, mask = fitted.silhouette, fitted.mask
    matches = [_match_fit(surface, fit, mask) for fit in [fitted.fit, *fits[1:MAX_CANDIDATES]]]
    matches[0] = replace(matches[0], confidence=confidence)
    # What else the reference shows, or does not.
    notes = fitted.notes + describe_cut_off(surface, fitted.fit.view, mask.shape)
    if is_shown_twice:
        notes += (SHOWN_TWICE,)
    # A foreground that is doubtful itself, a shadow with it for one, says nothing about the object.
    if not hypotheses.doubts and continues_to_border(mask, hypotheses.foreground):
        notes += (GOES_ON,)
    # Why the view may be wrong.
    if not matches[0].confident:
        notes += hypotheses.doubts
    # What is in front of the object is no part of it.
    occluder = find_occluder(silhouette, color)
    if occluder.any():
        notes += (OCCLUDED,)
    whole = add_mesh_interior(mask.astype(np.float32), silhouette)
    return tuple(matches), np.where(occluder, 0, whole).astype(np.float32), notes


def _cut_out_under(surface: Surface, reference: Reference, view: View, matting: Path | None) -> Registration:
    """The object in a reference whose camera is known."""
    if not reference.opaque:
        cut = cut_out(reference)
    else:
        alpha, _ = segment(reference.color)
        proposed, notes = propose_alpha(matting, reference.color) if matting else (None, ())
        masks = [each > 0.5 for each in (alpha, proposed) if each is not None]
        silhouette = rasterize(surface.vertices, surface.faces, view.camera(*alpha.shape[::-1])).mask
        if not silhouette.any():
            raise InvalidImage(NOTHING_FOUND)
        mask = find_mask(silhouette, reference.color, masks)
        alpha = add_mesh_interior(mask.astype(np.float32), silhouette)
        cut = replace(reference.with_alpha(alpha), segmented=True, mask_notes=notes)
    cut = replace(cut, mask_notes=cut.mask_notes + describe_cut_off(surface, view, cut.alpha.shape))
    match = replace(_match_fit(surface, Fit(view), cut.alpha > 0.5), confidence=1.0)
    return Registration(cut, (match,), True)


def _find_certain_view(
    surface: Surface,
    cut: Reference,
    direction: Direction | None,
    sector: Sector,
    progress: ProgressCallback,
) -> Registration | None:
    """The view of a reference that was cut out without the mesh; None if it is not certain that its outline
    is the mesh's."""
    match = find_view(surface, cut.alpha, direction, progress, cut.color, CERTAIN_OVERLAP, sector=sector)
    if match.confident and match.overlap >= CERTAIN_OVERLAP:
        camera = match.view.camera(*cut.alpha.shape[::-1])
        silhouette = rasterize(surface.vertices, surface.faces, camera).mask
        alpha = add_mesh_interior(cut.alpha, silhouette)
        notes = describe_cut_off(surface, match.view, cut.alpha.shape)
        cut = replace(cut, alpha=alpha, mask_notes=notes)
        return Registration(cut, (match,), direction is not None)
    return None


def _cut_out_with(reference: Reference, alpha: np.ndarray) -> Reference | None:
    """The reference with the large parts of an alpha (H, W) float32; None if that holds next to nothing, or
    everything."""
    proposed = reference.with_alpha(alpha)
    if not proposed.opaque:
        with contextlib.suppress(InvalidImage):
            return replace(cut_out(proposed), segmented=True)
    return None


def _search_windows(
    surface: Surface,
    color: np.ndarray,
    foreground: np.ndarray,
    direction: Direction | None,
    sector: Sector,
    progress: ProgressCallback,
) -> tuple[list[Fit], float]:
    """The likeliest views, see :func:`.contours.search.find_views`, and the confidence in the first. They are
    looked for around a small foreground (H, W) bool, then in the whole image if that is not enough."""
    for window in choose_windows(foreground):
        seen = window.crop(color)
        fits = find_views(surface, seen, direction, progress, window.crop(foreground), sector=sector)
        if window.whole or cut_off_fraction(surface, fits[0].view, seen.shape[:2]) <= MAX_CUT_OFF:
            break
    confidence = estimate_confidence(surface, fits, seen.shape[:2])
    return [replace(fit, view=window.extend_view(fit.view)) for fit in fits], confidence


def _fit_mask(
    surface: Surface, color: np.ndarray, best: Fit, hypotheses: Hypotheses, keep_direction: bool
) -> FittedMask:
    """The mask of the object under a view, and the view that follows its outline, which is more exact than
    edges near the contour.

    Args:
        surface: the mesh.
        color: (H, W, 3) float32 sRGB, the reference.
        best: the view.
        hypotheses: about the object.
        keep_direction: only the framing and the distance are free.

    Raises:
        InvalidImage: the view does not show the mesh.
    """
    width, height = color.shape[1], color.shape[0]

    def draw_silhouette(view: View) -> np.ndarray:
        return rasterize(surface.vertices, surface.faces, view.camera(width, height)).mask

    silhouette = draw_silhouette(best.view)
    if not silhouette.any():
        raise InvalidImage(NOTHING_FOUND)
    masks, notes = list(hypotheses.masks), ()
    if hypotheses.segmentation:
        proposed, notes = propose_mask(hypotheses.segmentation, color, silhouette)
        masks += [] if proposed is None else [proposed]
    mask = find_mask(silhouette, color, masks)
    refined = refine_view(surface, mask.astype(np.float32), best.view, REFINED_SIZE, keep_direction)
    if refined.overlap <= intersection_over_union(silhouette, mask):
        return FittedMask(best, silhouette, mask, notes)
    # Where the image's edges and colours contradict the new view, the mask was wrong: a shadow with it.
    seen = observe_image(resize_longest(color, REFINED_SIZE))
    before, after = (score_view(surface, view, seen) for view in (best.view, refined.view))
    if after < before - MAX_SCORE_LOSS:
        return FittedMask(best, silhouette, find_mask(silhouette, color, []), notes)
    silhouette = draw_silhouette(refined.view)
    fit = replace(best, view=refined.view)
    return FittedMask(fit, silhouette, find_mask(silhouette, color, masks), notes)


def _match_fit(surface: Surface, fit: Fit, mask: np.ndarray) -> Match:
    """A view that was found by contours, and how well its silhouette agrees with the mask (H, W) bool."""
    own = rasterize(surface.vertices, surface.faces, fit.view.camera(*mask.shape[::-1])).mask
    length = max(int(outline_mask(mask).sum()), 1)
    error = float((own ^ mask).sum()) / (length * np.sqrt(max(int(mask.sum()), 1)))
    return Match(fit.view, intersection_over_union(own, mask), error)
