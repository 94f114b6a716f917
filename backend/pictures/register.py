"""Finds object and camera of every picture of a job."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..api.job import Job
from ..api.picture import Picture
from ..api.weights import SEGMENTATION, find_matting, find_weights
from ..mesh.completion import Completion
from ..mesh.prepare import find_box
from ..mesh.surface import Surface
from ..paint.bend import bend_reference
from ..paint.camera.halves import register_half_or_whole
from ..paint.camera.registration import Registration, register_reference
from ..paint.camera.sector import EVERYWHERE, Sector
from ..paint.camera.several import FurtherPicture, PictureToFind, register_further, register_side
from ..paint.reference import Reference
from ..progress import ProgressCallback
from .read import ReadPicture


@dataclass(frozen=True)
class Registered:
    """All pictures of a job with their views.

    Attributes:
        lead: the first picture.
        shows_whole: whether it shows the whole of which the mesh is half.
        further: the others.
        notes: sentences about the lead that its registration does not have.
    """

    lead: Registration
    shows_whole: bool
    further: tuple[FurtherPicture, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PictureRegistration:
    """Registers the pictures of a job.

    Attributes:
        job: the job.
        surface: its mesh.
        completion: the whole of which that may be half; None if it is not.
        reference: the lead's image.
        further: the other pictures.
    """

    job: Job
    surface: Surface
    completion: Completion | None
    reference: Reference
    further: Sequence[ReadPicture]

    def run(self, progress: ProgressCallback) -> Registered:
        """The registrations, the lead's first. Raises :class:`InvalidImage` if the lead shows no object."""
        share = 1 / (1 + len(self.further))
        lead, shows_whole, notes = self._register_lead(lambda done: progress(share * done))
        completion = self.completion if shows_whole else None
        surface = completion.surface if completion else self.surface
        pictures = [
            PictureToFind(
                number,
                each.reference,
                partial(self._register, surface, completion, each.picture, each.reference),
                each.picture.side,
                each.picture.direction is not None,
                each.problem,
            )
            for number, each in enumerate(self.further, 1)
        ]
        further = register_further(
            surface, lead, self.reference, pictures, lambda done: progress(share + (1 - share) * done)
        )
        return Registered(lead, shows_whole, tuple(further), notes)

    def bend(self, found: Registered) -> Registered:
        """The same with pictures that show the pinned points where the camera sees them."""
        completion = self.completion if found.shows_whole else None
        lead = self._bend(found.lead, self.job.pins, completion)
        further = (
            replace(
                each,
                registration=each.registration
                and self._bend(each.registration, self.job.more[each.number - 1].pins, completion),
            )
            for each in found.further
        )
        return replace(found, lead=lead, further=tuple(further))

    def _register_lead(self, progress: ProgressCallback) -> tuple[Registration, bool, tuple[str, ...]]:
        """The lead's registration, whether it is that of the whole, and sentences about it."""
        picture, whole = self.job.pictures[0], self.completion
        register = partial(self._register, self.surface, None, picture, self.reference)
        if whole is None:
            registration, notes = register_side(
                register, None if picture.direction else picture.side, progress
            )
            return registration, False, notes
        registration, shows_whole = register_half_or_whole(
            self.surface,
            whole.surface,
            self.reference,
            partial(register, EVERYWHERE),
            partial(self._register, whole.surface, whole, picture, self.reference, EVERYWHERE),
            progress,
        )
        return registration, shows_whole, ()

    def _register(
        self,
        surface: Surface,
        completion: Completion | None,
        picture: Picture,
        reference: Reference,
        sector: Sector,
        progress: ProgressCallback,
    ) -> Registration:
        """Object and camera of one picture."""
        return register_reference(
            surface,
            reference,
            picture.direction,
            progress,
            # Only the view tells whether the reference shows a half or the whole, and what of the surface
            # each of several pictures shows.
            needs_view=bool(
                self.job.settings.painter == "draft" or self.completion is not None or self.further
            ),
            matting=find_matting(),
            segmentation=find_weights(SEGMENTATION),
            pins=None if picture.pins is None else self._normalise_pins(picture.pins, completion),
            sector=sector,
        )

    def _bend(
        self, registration: Registration, pins: np.ndarray | None, completion: Completion | None
    ) -> Registration:
        if pins is None:
            return registration
        reference = registration.reference
        camera = registration.match.view.camera(*reference.alpha.shape[::-1])
        bent = bend_reference(reference, camera, *self._normalise_pins(pins, completion))
        return replace(registration, reference=bent)

    def _normalise_pins(
        self, pins: np.ndarray, completion: Completion | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """A picture's pins as points (N, 3) of the normalised mesh, or of the whole that completes it, and
        places (N, 2) in the image."""
        mesh, pins = self.job.mesh, pins.astype(np.float64)
        center, size = find_box(
            mesh.vertices, mesh.faces[np.isfinite(mesh.vertices).all(axis=1)[mesh.faces].all(axis=1)]
        )
        points = (pins[:, :3] - center) / size
        return (points if completion is None else completion.place(points)), pins[:, 3:]
