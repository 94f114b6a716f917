"""The checks of references in this session."""

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import bpy
import numpy as np

from ...backend.api.errors import InvalidImage
from ...backend.api.events import JobEvent, State
from ..jobs import previews, reference, submission
from ..jobs.queue import queue
from ..jobs.request import JobRequest
from ..objects import mask_correction, mesh_io
from ..viewport import reference_view
from .check import Question, ReferenceCheck, identify_mesh, identify_reference, simplify_settings

MAX_KEPT = 12
"""Checks whose answers are kept; the server keeps the stages of their jobs for as long."""


class ReferenceChecks:
    """Only the main thread may use it. One check at a time is at work; a newer one ends it.

    Attributes:
        kept: the answered checks and the one at work, oldest first.
    """

    def __init__(self):
        self.kept: list[ReferenceCheck] = []

    def find(self, obj: bpy.types.Object | None, panel) -> ReferenceCheck | None:
        """The newest check of what the panel asks about an object now. Reads no mesh, so a panel that draws
        may call it."""
        if obj is None or obj.type != "MESH" or panel.find_image(obj) is None:
            return None
        question = Question.of(obj, panel)
        return next((check for check in reversed(self.kept) if check.question == question), None)

    def find_shown(self, obj: bpy.types.Object | None, panel) -> ReferenceCheck | None:
        """Like :meth:`find`, but while an answer is awaited the last one about the same object and reference,
        if the view or the mask is all that has changed."""
        return self._find_answered(obj, panel, lambda check: check.outline is not None)

    def find_with_camera(self, obj: bpy.types.Object | None, panel) -> ReferenceCheck | None:
        """Like :meth:`find_shown`, for one that has found a camera; None if there is none."""
        check = self._find_answered(obj, panel, lambda check: check.camera is not None)
        return check if check and check.camera else None

    def find_offer(self, obj: bpy.types.Object | None, panel) -> tuple[ReferenceCheck, int] | None:
        """The newest check whose views the user may choose from, and the number of the one that the panel's
        View takes; None if there is nothing to choose, or another view was set."""
        if obj is None or obj.type != "MESH" or panel.find_image(obj) is None:
            return None
        question = Question.of(obj, panel)
        asked = replace(question, view=("AUTOMATIC",))
        check = next((check for check in reversed(self.kept) if check.question == asked and check.asks), None)
        if check is None or len(check.candidates) < 2:
            return None
        if question == asked:
            return check, 0
        views = check.offered_views
        return (check, views.index(question.view)) if question.view in views else None

    def is_at_work(self, check: ReferenceCheck) -> bool:
        return queue.is_checking(check.job)

    def request(
        self, obj: bpy.types.Object, context: bpy.types.Context, again: bool = False
    ) -> ReferenceCheck:
        """Checks an object's reference, unless the answer is known or awaited.

        Args:
            again: check even if the answer is known.

        Raises:
            OrbitError: the object or the image cannot be used, or no view fits the pins.
        """
        panel = context.scene.orbit_texture
        image = panel.find_image(obj)
        if image is None:
            raise InvalidImage("Choose a reference image first.")
        target = mesh_io.read_mesh(obj)
        content = reference.from_image(image)
        settings = simplify_settings(reference_view.settings_with_view(obj, context))
        notice = mask_correction.drop_unfit_correction(obj)
        question, correction = Question.of(obj, panel), mask_correction.get_correction(obj, image)
        parts = identify_mesh(target.snapshot), identify_reference(image, content)
        pins = submission.read_pins(obj, target) if panel.view == "PINS" else None
        view = settings.azimuth, settings.elevation, settings.white_balance, *question.view
        key = f"{obj.session_uid} {parts} {view} {question.correction}" if all(parts) else ""
        known = next((check for check in self.kept if key and check.key == key), None)
        if known and not again and (known.report or known.error or self.is_at_work(known)):
            self._end_others(known)
            self.kept.remove(known)
            self.kept.append(known)
            known.question, known.notice = question, notice
            return known
        check = ReferenceCheck(question, key, target, notice=notice)
        self._end_others(check)
        if known:
            self._discard(known)
        check.job = uuid4().hex
        job = JobRequest(
            check.job,
            obj.name_full,
            target.mesh_data,
            content,
            settings,
            mask=correction and correction.mask,
            strokes=correction and correction.rasterize,
            pins=pins,
        )
        # The image's own size is not asked for: Blender would load its pixels, which may take seconds.
        queue.check_reference(job, lambda event: _on_event(check, event, correction and correction.size))
        self.kept.append(check)
        for old in self.kept[:-MAX_KEPT]:
            self._discard(old)
        return check

    def clear(self) -> None:
        """Forgets everything: another file was opened, whose objects are others."""
        for check in list(self.kept):
            self._discard(check)

    def _find_answered(self, obj, panel, has_answer: Callable) -> ReferenceCheck | None:
        check = self.find(obj, panel)
        if check is None or has_answer(check) or check.error:
            return check
        about = check.question.object_uid, check.question.image_uid
        return next(
            (
                other
                for other in reversed(self.kept)
                if has_answer(other) and about == (other.question.object_uid, other.question.image_uid)
            ),
            check,
        )

    def _end_others(self, check: ReferenceCheck) -> None:
        for other in [other for other in self.kept if other is not check and self.is_at_work(other)]:
            self._discard(other)

    def _discard(self, check: ReferenceCheck) -> None:
        if check in self.kept:
            self.kept.remove(check)
        previews.discard(check.job)
        queue.discard_check(check.job)


def _on_event(check: ReferenceCheck, event: JobEvent, size: tuple[int, int] | None) -> None:
    """Takes what the worker has found.

    Args:
        size: width and height of the reference; None if nothing was drawn on it, then there is no preview.
    """
    check.event = replace(event, result=None, preview=None)
    if size and event.preview is not None and len(event.preview) == 2:
        check.show_preview(event.preview, size)
    elif event.state is State.FINISHED and event.result:
        check.take_result(event.result.textures, event.result.report)
    elif event.error and event.error.code != "cancelled":
        check.error = event.error
    else:
        return
    if check.outline is not None:
        previews.store(check.job, (_with_alpha(check.outline), *check.candidates))


def _with_alpha(image: np.ndarray) -> np.ndarray:
    return np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])


checks = ReferenceChecks()
