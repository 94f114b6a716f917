"""Registers the further pictures of an object, each with regard to those before it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...api.errors import InvalidImage
from ...mesh.surface import Surface
from ...progress import ProgressCallback
from ..reference import Reference
from .consistency import PictureComparison
from .registration import Registration
from .sector import EVERYWHERE, Sector, list_sectors

Register = Callable[[Sector, ProgressCallback], Registration]
"""``register(sector, progress)`` finds object and camera of one picture; raises :class:`InvalidImage`."""

GOOD_OVERLAP = 0.9
"""Intersection over union of the outlines from which on a view near the side that a picture is named after is
not questioned."""

OVERLAP_LEAD = 0.05
"""By how much another view has to overlap better to be taken instead."""

OVERLAP_LOSS = 0.03
"""By how much a view that contradicts no other picture may overlap worse."""

FOREIGN_OVERLAP = 0.8
"""Intersection over union of the outlines below which a picture whose view is uncertain shows another
object."""

FIRST_MEANING = 0.8
"""Factor by which the outline has to fit better for a side's second meaning."""

SAME_DIFFERENCE = 1 / 255
"""Mean difference in sRGB up to which two pictures are the same."""


@dataclass(frozen=True)
class PictureToFind:
    """A further picture whose object and view are to be found.

    Attributes:
        number: of the picture in the job, the lead's being 0.
        reference: the image; None if it could not be read.
        register: finds object and camera.
        side: the side that it is said to show, or None.
        is_given: whether its direction is given, so that nothing else is tried.
        problem: why it could not be read.
    """

    number: int
    reference: Reference | None
    register: Register
    side: str | None = None
    is_given: bool = False
    problem: str = ""


@dataclass(frozen=True)
class FurtherPicture:
    """A further picture of the object.

    Attributes:
        number: of the picture in the job, the lead's being 0.
        registration: None if the picture is left out.
        notes: sentences about it that the registration does not have.
    """

    number: int
    registration: Registration | None
    notes: tuple[str, ...] = ()


def register_further(
    surface: Surface,
    lead: Registration,
    lead_image: Reference,
    pictures: Sequence[PictureToFind],
    progress: ProgressCallback,
) -> list[FurtherPicture]:
    """Finds object and view in pictures, in their order.

    Args:
        surface: the mesh.
        lead: the registration of the first picture.
        lead_image: that picture as it was read.
        pictures: the others.
        progress: called with the fraction done.
    """
    if not pictures:
        return []
    comparison = PictureComparison(surface)
    placed, images, found = [(lead, comparison.look(lead))], [lead_image], []
    for done, picture in enumerate(pictures):
        share = 1 / len(pictures)
        if picture.reference is None:
            found.append(FurtherPicture(picture.number, None, (picture.problem,)))
            continue
        if any(_is_same(picture.reference, image) for image in images):
            found.append(FurtherPicture(picture.number, None, ("It is the same as one before it.",)))
            continue
        images.append(picture.reference)

        def report(fraction: float, done=done, share=share) -> None:
            progress((done + fraction) * share)

        further = _register_picture(comparison, placed, picture, report)
        found.append(further)
        if further.registration:
            placed.append((further.registration, comparison.look(further.registration)))
    return found


def register_side(
    register: Register, side: str | None, progress: ProgressCallback
) -> tuple[Registration, tuple[str, ...]]:
    """The registration of a picture that is said to show a side, which is looked for there first, and
    sentences about that. Raises :class:`InvalidImage`."""
    if side is None:
        return register(EVERYWHERE, progress), ()
    best, problem = None, None
    for sector in list_sectors(side):
        try:
            found = register(sector, lambda fraction: progress(0.3 * fraction))
        except InvalidImage as error:
            problem = error
            continue
        if best is None or found.match.error < FIRST_MEANING * best.match.error:
            best = found
    if best and best.match.overlap >= GOOD_OVERLAP:
        return best, ()
    try:
        anywhere = register(EVERYWHERE, progress)
    except InvalidImage:
        if best is None:
            raise problem from None
        return best, ()
    if best and anywhere.match.overlap < best.match.overlap + OVERLAP_LEAD:
        return best, ()
    return anywhere, (f"It is said to show the {side}, but fits the mesh only from another side.",)


def _register_picture(
    comparison: PictureComparison, placed: list, picture: PictureToFind, progress: ProgressCallback
) -> FurtherPicture:
    """One further picture, with regard to those that are placed, each a registration and what it shows."""
    try:
        found, notes = register_side(picture.register, picture.side, progress)
    except InvalidImage as error:
        return FurtherPicture(picture.number, None, (str(error),))
    if not picture.is_given:
        found = _avoid_contradiction(comparison, placed, picture, found, progress)
        if not found.match.confident and found.match.overlap < FOREIGN_OVERLAP:
            return FurtherPicture(
                picture.number, None, ("It shows another object than the mesh, so it was left out.",)
            )
    return FurtherPicture(picture.number, found, notes)


def _avoid_contradiction(
    comparison: PictureComparison,
    placed: list,
    picture: PictureToFind,
    found: Registration,
    progress: ProgressCallback,
) -> Registration:
    """The registration, or another one where it shows colours that contradict those of pictures before it: of
    two pictures of an object with like sides each has its own."""

    def contradictions(registration: Registration) -> list[float]:
        sight = comparison.look(registration)
        return [comparison.measure_contradiction(sight, other) for _, other in placed]

    before = contradictions(found)
    if max(before) < 1:
        return found
    against = [other for (other, _), value in zip(placed, before, strict=True) if value >= 1]
    apart = tuple((each.match.view.azimuth, each.match.view.elevation) for each in against)
    sectors = [Sector(apart=apart)]
    if picture.side:
        sectors = [replace(sector, apart=apart) for sector in list_sectors(picture.side)]
    for sector in sectors:
        try:
            other = picture.register(sector, progress)
        except InvalidImage:
            continue
        is_likely = other.match.overlap >= found.match.overlap - OVERLAP_LOSS
        if is_likely and max(contradictions(other)) < max(before):
            return other
    return found


def _is_same(one: Reference, other: Reference) -> bool:
    if one.color.shape != other.color.shape:
        return False
    return bool(np.abs(one.color - other.color).mean() <= SAME_DIFFERENCE)
