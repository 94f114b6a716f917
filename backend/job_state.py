"""The outputs of the stages of a job."""

from dataclasses import dataclass, field

from .align.align import Alignment
from .bake.bake import Texture
from .bake.region import Earlier
from .mesh.completion import Completion
from .mesh.surface import Surface
from .paint.camera.registration import Registration
from .paint.camera.several import FurtherPicture
from .paint.painter import Painting
from .paint.reference import Reference
from .render.camera import Orbit
from .render.rasterize import GBuffer


@dataclass
class JobState:
    """The outputs of the stages of a job so far; None or empty where a stage has not run.

    Attributes:
        reference: the image to follow.
        surface: the prepared mesh.
        completion: the whole that is painted, if the mesh is half of it; else None.
        earlier: the texture of which only a region is repainted.
        registration: the reference with its object cut out, and its camera.
        further: the other pictures of the object, registered or left out.
        side_notes: sentences about the side that the reference is said to show.
        orbits, buffers: the painter's cameras, and the G-buffer of each, in the same order.
        painting: a painted frame per view.
        alignment: the frames, aligned so that they agree on the surface.
        texture: the texture of the last stage that made one.
    """

    reference: Reference
    surface: Surface | None = None
    completion: Completion | None = None
    earlier: Earlier | None = None
    registration: Registration | None = None
    further: tuple[FurtherPicture, ...] = ()
    side_notes: tuple[str, ...] = ()
    orbits: list[Orbit] = field(default_factory=list)
    buffers: list[GBuffer] = field(default_factory=list)
    painting: Painting | None = None
    alignment: Alignment | None = None
    texture: Texture | None = None

    @property
    def registrations(self) -> list[Registration]:
        """Those of the reference and of all further pictures that are not left out."""
        return [self.registration, *(each.registration for each in self.further if each.registration)]
