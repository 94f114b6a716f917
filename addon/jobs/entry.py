"""One job as Blender's main thread knows it."""

from dataclasses import dataclass, field
from uuid import uuid4

import numpy as np

from ...backend.api.errors import OrbitError
from ...backend.api.events import JobEvent, State
from ...backend.api.job import Kept, Result
from ...backend.api.settings import Settings
from ..objects import identity
from ..objects.mask_correction import MaskCorrection
from ..objects.snapshot import TargetMesh
from .request import PictureRequest, Reference


@dataclass
class JobEntry:
    """One job: a row of the queue.

    Attributes:
        name: the object's name when the job started, with its file if it is linked.
        title: the name of the take, before it is made unique among the object's; "" for a number.
        settings: how to texture it; None for a download, and for a job that could not start.
        keys: the objects that get the take: the one whose mesh was sent, then those that share the mesh.
        reference: kept for a retry; None for a job from an earlier session.
        mask: which pixels of the reference show the object; None if that is to be found.
        target: the mesh that was sent; None for a job from an earlier session.
        fallback: the mesh without the modifiers that change its topology, sent if the UV layer on ``target``
            turns out to be unusable.
        own_topology: the fallback was sent, or only the mesh without modifiers may be sent.
        layer: the UV layer that the texture must use; "" for the one that a new take gets.
        kept: the texture of which only a region is repainted; None for a whole new one, and for a job from
            an earlier session.
        pins: that place the camera, see :class:`~backend.api.job.Job`; None if there are none, and for a job
            from an earlier session.
        side: the side that the reference is said to show, or None.
        more: the other pictures of the object; empty for a job from an earlier session.
        correction: the corrected mask of the reference; None if there is none, and for a job from an earlier
            session.
        topology: ``target.topology`` of a job from an earlier session.
        is_pending_stored: the objects have stored that they wait for the job (an undo may have removed that).
        event: the last event from the server; its ``job`` is the job's id.
        result: kept until it is on the object.
        error: why the job, or applying its result, failed.
        applied: the take is on the objects, or the weights are installed.
        report: the report of the take that was applied.
        thumbnail: (S, S, 3) uint8 sRGB, the first image of the job's last preview.
        obstacle: why the result cannot be applied right now; "" if it can.
        download: the model whose weights the job downloads; "" for a job with a mesh.
        batch: the same for all jobs started by one press of a button.
        run: the same for all jobs that were started without a moment in which none was unsettled.
        began_at: when the wait for it began, in seconds of the monotonic clock: when it was started, or, if
            others were before it, when it began to run; None until then.
        seconds: from then to the take; None until there is one, and for a job from an earlier session.
    """

    name: str
    settings: Settings | None
    keys: tuple[identity.ObjectKey, ...] = ()
    title: str = ""
    reference: Reference | None = None
    mask: Reference | None = None
    target: TargetMesh | None = None
    fallback: TargetMesh | None = None
    own_topology: bool = False
    layer: str = ""
    kept: Kept | None = None
    pins: np.ndarray | None = None
    side: str | None = None
    more: tuple[PictureRequest, ...] = ()
    correction: MaskCorrection | None = None
    topology: str = ""
    is_pending_stored: bool = False
    event: JobEvent = field(default_factory=lambda: JobEvent(uuid4().hex, State.QUEUED))
    result: Result | None = None
    error: OrbitError | None = None
    applied: bool = False
    report: dict | None = None
    thumbnail: np.ndarray | None = None
    obstacle: str = ""
    download: str = ""
    batch: str = ""
    run: int = 0
    began_at: float | None = None
    seconds: float | None = None

    @property
    def job(self) -> str:
        """The job's id."""
        return self.event.job

    @property
    def target_topology(self) -> str:
        """The topology that the mesh must still have when the result arrives. Slow unless it was computed
        before."""
        return self.target.topology if self.target else self.topology

    @property
    def is_settled(self) -> bool:
        """Whether the job is over: applied, failed or cancelled."""
        return self.applied or self.error is not None

    @property
    def is_queued(self) -> bool:
        """Whether the job waits for the jobs before it."""
        return not self.is_settled and self.result is None and self.event.state is State.QUEUED
