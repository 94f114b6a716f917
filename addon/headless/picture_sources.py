"""What a place that may give an object its pictures gives: a rule, a custom property, or a folder."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import bpy

from ...backend.api.picture import SIDES, find_side
from ..jobs import pictures, reference
from ..jobs.request import PictureRequest, Reference


@dataclass(frozen=True)
class PictureSource:
    """What one place gives.

    Attributes:
        image: returns the reference; None if there is none.
        mask: returns which of its pixels show the object; None if the place does not say.
        side: the side that the reference is said to show, or None.
        more: returns the other pictures; None if there are none.
    """

    image: Callable[[], Reference] | None = None
    mask: Callable[[], Reference] | None = None
    side: str | None = None
    more: Callable[[], tuple[PictureRequest, ...]] | None = None


NOTHING = PictureSource()
"""A place that gives nothing."""


def from_files(files: Iterable[Path]) -> PictureSource:
    """The pictures of image files, the first of which leads."""
    lead, *more = files
    return PictureSource(
        lambda: reference.from_file(lead),
        side=find_side(lead.stem) if more else None,
        more=(lambda: tuple(_request(file, find_side(file.stem)) for file in more)) if more else None,
    )


def from_folder(folder: str, name: str) -> PictureSource:
    """The pictures of an object in a folder, see :func:`reference.find_pictures_in_folder`; the masks of
    ``Hat.back.png`` and ``Hat.png`` are called ``Hat.back.mask.png`` and ``Hat.mask.png``."""
    found = reference.find_pictures_in_folder(folder, name)
    if not found:
        mask = reference.find_in_folder(folder, name, ".mask")
        return PictureSource(mask=mask and (lambda: mask))
    requests = [
        _request(file, kind if kind in SIDES else None, reference.find_in_folder(folder, file.stem, ".mask"))
        for file, kind in found
    ]
    lead, *more = requests
    return PictureSource(
        lambda: lead.image,
        lead.mask and (lambda: lead.mask),
        lead.side if more else None,
        (lambda: tuple(more)) if more else None,
    )


def from_panel(owner, image: bpy.types.Image | None) -> PictureSource:
    """The image and the pictures of a scene's or an object's properties."""
    if image is None:
        return NOTHING
    return PictureSource(
        lambda: reference.from_image(image),
        side=pictures.find_lead_side(owner, image),
        more=lambda: pictures.read_pictures(owner),
    )


def _request(file: Path, side: str | None, mask: Path | None = None) -> PictureRequest:
    return PictureRequest(reference.from_file(file), mask, side=side)
