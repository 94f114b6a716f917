"""One check of a reference: what was asked, and what was found."""

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property

import bpy
import numpy as np

from ...backend.api.errors import OrbitError
from ...backend.api.events import JobEvent, State
from ...backend.api.settings import Settings
from ..jobs import reference
from ..objects import mask_correction
from ..objects.material import pack_image
from ..objects.snapshot import MeshSnapshot, TargetMesh
from ..viewport.projection_camera import box_matrix, normalizing_matrix

OUTLINE_SIZE = 512
"""Pixels along the longer side of the outline and of the mask, as they are kept here."""

MAX_ASPECT_ERROR = 0.1
"""Logarithm of the ratio of two aspect ratios, above which they are not the same."""

MAX_CANDIDATES = 4
"""The most views that a user is asked to choose from."""

SIDEWAYS = (
    "Blender shows this photo sideways, because only its EXIF data says how to turn it. To project it or to "
    "correct its mask, save it upright."
)
"""What the user is told about an image for which :meth:`ReferenceCheck.is_turned`."""


@dataclass(frozen=True)
class Question:
    """What a check is about, without the state of the mesh. Quick to make, so that a panel can compare it.

    Attributes:
        object_uid, image_uid: Blender's identifiers of object and reference.
        view: the panel's Side Shown; with Angles its azimuth and elevation too, see :func:`given_view`, and
            with Pins the numbers of each pin.
        correction: fingerprint of the corrected mask, "" without one.
    """

    object_uid: int
    image_uid: int
    view: tuple
    correction: str

    @staticmethod
    def of(obj: bpy.types.Object, panel) -> "Question":
        """The question that the panel's settings put for an object."""
        view = (panel.view,)
        if panel.view == "GIVEN":
            view = given_view(panel.azimuth, panel.elevation)
        elif panel.view == "PINS":
            view += tuple((*pin.point, *pin.place) for pin in obj.orbit_texture.pins)
        image = panel.find_image(obj)
        correction = mask_correction.get_correction(obj, image)
        fingerprint = correction.fingerprint if correction else ""
        return Question(obj.session_uid, image.session_uid, view, fingerprint)


@dataclass(eq=False)
class ReferenceCheck:
    """A check, from its start.

    Attributes:
        question: what it is about.
        key: hash of everything that the answer depends on; "" if the reference's content cannot be compared.
        target: the mesh that was sent.
        job: the id of its job.
        event: the last event from the server.
        error: why nothing was found.
        report: of the result; None before it has arrived.
        outline: (H, W, 3) uint8, the reference with the object's outline; None before it is known.
        mask: (H, W) uint8, the object's mask, of the same size; None before it is known.
        mask_file: image file of the mask at its full size; None before the result has arrived.
        candidates: (S, S, 4) uint8 each, the mesh as each of the report's candidates projects the reference.
        notice: a sentence about what was changed before the check; "" if nothing was.
    """

    question: Question
    key: str
    target: TargetMesh
    job: str = ""
    event: JobEvent = field(default_factory=lambda: JobEvent("", State.QUEUED))
    error: OrbitError | None = None
    report: dict | None = None
    outline: np.ndarray | None = None
    mask: np.ndarray | None = None
    mask_file: bytes | None = None
    candidates: tuple[np.ndarray, ...] = ()
    notice: str = ""

    @property
    def asks(self) -> bool:
        """Whether the user is asked which of the candidates is right: not if the view was given."""
        return bool(self.report) and self.report["doubtful"] and self.question.view[0] == "AUTOMATIC"

    @property
    def offered_views(self) -> list[tuple]:
        """The views of the candidates that have images, as questions have them."""
        views = self.report["candidates"][: len(self.candidates)] if self.report else []
        return [given_view(view["azimuth"], view["elevation"]) for view in views]

    @property
    def notes(self) -> list[str]:
        """Sentences for the user."""
        return list(dict.fromkeys(self.report["notes"])) if self.report else []

    @property
    def camera(self) -> list[float] | None:
        """The seven numbers of the chosen view's camera; None if no view is known."""
        candidates = self.report["candidates"] if self.report else []
        return candidates[0]["camera"] if candidates else None

    @cached_property
    def to_job_mesh(self) -> np.ndarray:
        """(4, 4) float64 from the object's space to that of the job's mesh, or of the whole of which it is
        half, in which the cameras are; once the result is there."""
        snapshot = self.target.snapshot
        linear, offset = snapshot.matrix[:3, :3], snapshot.matrix[:3, 3]
        world = (snapshot.positions @ linear.T + offset).astype(np.float32)
        matrix = normalizing_matrix(world, snapshot.corner_vertices[snapshot.loops]) @ snapshot.matrix
        box = self.report and self.report.get("whole_box")
        return box_matrix(np.array(box["center"]), box["size"]) @ matrix if box else matrix

    def is_turned(self, image: bpy.types.Image) -> bool:
        """Whether the worker sees the image turned: it follows a photo's EXIF data, which Blender ignores."""
        if self.mask is None:
            return False
        (height, width), shown = self.mask.shape, image.size[0] / image.size[1]
        return abs(np.log(width / height / shown)) > MAX_ASPECT_ERROR

    def show_preview(self, pictures: np.ndarray, size: tuple[int, int]) -> None:
        """Takes the outline and the mask from a preview, (2, S, S, 3) uint8, while the view is looked for.

        Args:
            size: width and height of the reference, whose longer side fills the squares.
        """
        scale = pictures.shape[1] / max(size)
        width, height = (max(1, round(pixels * scale)) for pixels in size)
        self.outline, self.mask = pictures[0, :height, :width], pictures[1, :height, :width, 0]

    def take_result(self, textures: dict[str, np.ndarray], report: dict) -> None:
        """Takes the result of the job."""
        self.outline = read_image_file(textures["outline"], OUTLINE_SIZE)[..., :3]
        self.mask = read_image_file(textures["mask"], OUTLINE_SIZE)[..., 0]
        self.mask_file = textures["mask"].tobytes()
        count = min(len(report["candidates"]), MAX_CANDIDATES)
        self.candidates = tuple(
            read_image_file(textures[f"candidate.{number}"], OUTLINE_SIZE) for number in range(count)
        )
        self.report = report


def given_view(azimuth: float, elevation: float) -> tuple[str, float, float]:
    """A view that the user gives, in degrees, as a question has it."""
    return "GIVEN", round(azimuth, 3), round(elevation, 3)


def simplify_settings(settings: Settings) -> Settings:
    """The settings for a check: those of a draft, which needs no model. The worker does not repeat what a
    check has finished for a draft with the same settings."""
    return replace(settings, painter="draft", refine=False)


def identify_mesh(snapshot: MeshSnapshot) -> str:
    """A hash of what a view of the mesh depends on. Where the object stands and its size do not matter."""
    digest = hashlib.blake2b(snapshot.positions, digest_size=16)
    digest.update(snapshot.corner_vertices)
    linear = snapshot.matrix[:3, :3]
    digest.update((np.round(linear / max(np.abs(linear).max(), 1e-30), 5) + 0.0).tobytes())
    return digest.hexdigest()


def identify_reference(image: bpy.types.Image, content: reference.Reference) -> str:
    """A hash of a reference's content, "" if it is too slow to make: for an image painted in Blender."""
    if isinstance(content, bytes):
        return hashlib.blake2b(content, digest_size=16).hexdigest()
    if callable(content):
        return ""
    state = content.stat()
    return f"{content} {state.st_mtime_ns} {state.st_size}"


def read_image_file(file: np.ndarray, longest: int) -> np.ndarray:
    """(H, W, 4) uint8: an image file (N,) uint8, scaled down to ``longest`` pixels along the longer side,
    row 0 at the top."""
    image = pack_image("Orbit Texture Check", file)
    try:
        width, height = image.size
        scale = min(1.0, longest / max(width, height, 1))
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        if scale < 1:
            image.scale(width, height)
        pixels = np.empty((height, width, 4), np.float32)
        image.pixels.foreach_get(pixels.ravel())
    finally:
        bpy.data.images.remove(image)
    return np.round(255 * pixels[::-1]).astype(np.uint8)
