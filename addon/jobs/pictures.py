"""The further pictures of an object, as the panel lists them."""

from pathlib import PurePath

import bpy

from ...backend.api.errors import InvalidImage, OrbitError
from ...backend.api.picture import SIDES, find_side
from . import reference
from .request import PictureRequest


def read_pictures(owner) -> tuple[PictureRequest, ...]:
    """The pictures of a scene's or an object's properties that have an image.

    Raises:
        InvalidImage: one of them cannot be used; the sentence names it.
    """
    return tuple(_read_picture(picture) for picture in owner.pictures if picture.image)


def find_lead_side(owner, image: bpy.types.Image) -> str | None:
    """The side that the name of the leading image says it shows, if there are others; None if it says
    nothing."""
    return find_side(PurePath(image.name).stem) if any(each.image for each in owner.pictures) else None


def _read_picture(picture) -> PictureRequest:
    side = picture.view.lower()
    is_given = picture.view == "GIVEN"
    try:
        return PictureRequest(
            reference.from_image(picture.image),
            reference.mask_from_image(picture.mask) if picture.mask else None,
            direction=(picture.azimuth, picture.elevation) if is_given else None,
            side=side if side in SIDES else None,
        )
    except OrbitError as error:
        raise InvalidImage(f"The picture '{picture.image.name}' cannot be used. {error.message}") from error
