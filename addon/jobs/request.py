"""What Blender's main thread hands to the client for a job. What is slow to make is made on the client's
thread."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...backend.api import wire
from ...backend.api.errors import InvalidImage
from ...backend.api.job import Job, Kept, MeshData
from ...backend.api.picture import Picture
from ...backend.api.present_paint import PresentPaint
from ...backend.api.settings import Settings

Reference = Path | bytes | np.ndarray | Callable[[], np.ndarray]
"""A file, its bytes, pixels as :class:`~backend.api.job.Job` takes them, or a function that makes the pixels
on the client's thread."""


@dataclass(frozen=True)
class PictureRequest:
    """A further picture of the object that is to be sent with a job.

    Attributes:
        image: the picture.
        mask: which of its pixels show the object; pixels are (H, W) uint8. None if that is to be found.
        strokes: makes the strokes that correct the mask, on the client's thread.
        pins: that place the camera, near ``direction``; see :class:`~backend.api.picture.Picture`.
        direction: azimuth and elevation in degrees; None if they are to be found.
        side: the side that the picture is said to show, one of :data:`~backend.api.picture.SIDES`, or None.
    """

    image: Reference
    mask: Reference | None = None
    strokes: Callable[[], np.ndarray] | None = None
    pins: np.ndarray | None = None
    direction: tuple[float, float] | None = None
    side: str | None = None

    def make_picture(self) -> Picture:
        """Reads the files and makes the arrays. Raises :class:`InvalidImage` if an image cannot be read."""
        return Picture(
            _read_pixels(self.image, "reference image"),
            None if self.mask is None else _read_pixels(self.mask, "mask"),
            self.strokes() if self.strokes else None,
            self.pins,
            self.direction,
            self.side,
        )


@dataclass(frozen=True)
class JobRequest:
    """A job that is to be sent.

    Attributes:
        job_id: chosen by the caller, see :class:`~backend.api.job.Job`.
        name: of the object.
        mesh: makes the mesh, on the client's thread. The arrays behind it, and the reference, must not be
            changed any more.
        reference: the image.
        settings: how to texture the mesh.
        kept: the texture of which only a region is repainted.
        mask: which pixels of the reference show the object; pixels are (H, W) uint8.
        strokes: makes the strokes that correct the mask, on the client's thread.
        check_reference: only find the object and the view.
        pins: that place the camera, see :class:`~backend.api.job.Job`.
        side: the side that the reference is said to show, or None.
        more: the other pictures of the object.
        present: makes the paint that the mesh wears, or None, on the client's thread.
    """

    job_id: str
    name: str
    mesh: Callable[[], MeshData]
    reference: Reference
    settings: Settings
    kept: Kept | None = None
    mask: Reference | None = None
    strokes: Callable[[], np.ndarray] | None = None
    check_reference: bool = False
    pins: np.ndarray | None = None
    side: str | None = None
    more: tuple[PictureRequest, ...] = ()
    present: Callable[[], PresentPaint | None] = lambda: None

    def make_job(self) -> Job:
        """Reads the files and makes the arrays. Slow for a large mesh.

        Raises:
            OrbitError: an image cannot be read, or the mesh cannot be made.
        """
        return Job(
            self.job_id,
            self.name,
            reference=_read_pixels(self.reference, "reference image"),
            mask=None if self.mask is None else _read_pixels(self.mask, "mask"),
            strokes=self.strokes() if self.strokes else None,
            mesh=self.mesh(),
            settings=self.settings,
            kept=self.kept,
            check_reference=self.check_reference,
            pins=self.pins,
            side=self.side,
            more=tuple(picture.make_picture() for picture in self.more),
            present=self.present(),
        )


def _read_pixels(reference: Reference, what: str) -> np.ndarray:
    """The arrays of an image as a job takes them.

    Args:
        what: the image's purpose, for the error.

    Raises:
        InvalidImage: the file cannot be read, is empty or too large.
    """
    if isinstance(reference, np.ndarray):
        pixels = reference
    elif isinstance(reference, bytes):
        pixels = np.frombuffer(reference, np.uint8)
    elif callable(reference):
        pixels = reference()
    else:
        try:
            pixels = np.fromfile(reference, np.uint8)
        except OSError as error:
            raise InvalidImage(
                f"The {what} {reference} cannot be read ({error.strerror or error}). Choose another file."
            ) from error
    if pixels.nbytes > wire.MAX_ARRAY:
        raise InvalidImage(
            f"The {what} has {pixels.nbytes / 2**20:,.0f} MiB and the limit is "
            f"{wire.MAX_ARRAY >> 20} MiB. Scale it down."
        )
    if pixels.size == 0:
        raise InvalidImage(f"The {what} is empty. Choose another file.")
    return pixels
