"""Reads the pictures of a job."""

from dataclasses import dataclass

from ..api.errors import InvalidImage
from ..api.job import Job
from ..api.picture import Picture
from ..paint.balance import balance_white
from ..paint.mask_correction import correct_reference
from ..paint.reference import Reference, decode


@dataclass(frozen=True)
class ReadPicture:
    """A further picture of a job.

    Attributes:
        picture: as it was sent.
        reference: the image; None if it cannot be read.
        problem: why, a sentence.
    """

    picture: Picture
    reference: Reference | None
    problem: str = ""


def read_picture(picture: Picture) -> Reference:
    """The image, with what was drawn on it as its alpha. Raises :class:`InvalidImage`."""
    reference = decode(picture.image, picture.mask)
    return reference if picture.strokes is None else correct_reference(reference, picture.strokes)


def read_further(job: Job) -> list[ReadPicture]:
    """The pictures of a job but the first. One that cannot be read ends the job if the settings say that it
    stops on doubt, and is left out otherwise. Raises :class:`InvalidImage`."""
    found = []
    for number, picture in enumerate(job.more, 2):
        try:
            reference = balance_white(read_picture(picture), job.settings.white_balance)
            found.append(ReadPicture(picture, reference))
        except InvalidImage as error:
            if job.settings.on_doubt == "stop":
                raise InvalidImage(f"Picture {number}: {error}") from error
            found.append(ReadPicture(picture, None, str(error)))
    return found
