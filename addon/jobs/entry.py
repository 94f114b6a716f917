"""One job as Blender's main thread knows it."""

from dataclasses import dataclass, field
from uuid import uuid4

import numpy as np

from ...backend.api.errors import OrbitError
from ...backend.api.events import JobEvent, State
from ...backend.api.job import Kept, Result
from ...backend.api.settings import Settings
from ..objects import identity
from ..objects.snapshot import TargetMesh
from .client import Reference


@dataclass
class Entry:
    """One job: a row of the queue.

    Attributes:
        name: what the object was called when the job started, with the file if it is linked.
        settings: how to texture it; None for a download, and where nothing could start.
        keys: the objects that get the take: the one whose mesh was sent, then those that share it.
        reference: kept for a retry; None for a job from an earlier session.
        target: the mesh that was sent; None for a job from an earlier session.
        fallback: the mesh without the modifiers that change its topology, sent if the UV layer on ``target``
            turns out not to be usable.
        own_topology: the fallback was sent, or nothing else may be.
        layer: the UV layer that the texture must lie on; "" for the one that a new take gets.
        kept: the texture of which only a region is painted anew; None for a whole new one, and for a job from
            an earlier session.
        topology: of a job from an earlier session: what ``target.topology`` was.
        noted: the objects know that they wait for the job, or knew it before an undo.
        event: what the server said last; its ``job`` is the job's id.
        result: kept until it is on the object.
        error: why the job, or applying its result, failed.
        applied: the take is on the objects, or the weights are there.
        report: of the take that was applied.
        thumbnail: (S, S, 3) uint8, the first of the pictures that the job showed last.
        waits: what keeps a result from being applied, "" if nothing does.
        download: the model whose weights it brings; "" for a job with a mesh.
        batch: the same for all jobs of one press.
    """

    name: str
    settings: Settings | None
    keys: tuple[identity.ObjectKey, ...] = ()
    reference: Reference | None = None
    target: TargetMesh | None = None
    fallback: TargetMesh | None = None
    own_topology: bool = False
    layer: str = ""
    kept: Kept | None = None
    topology: str = ""
    noted: bool = False
    event: JobEvent = field(default_factory=lambda: JobEvent(uuid4().hex, State.QUEUED))
    result: Result | None = None
    error: OrbitError | None = None
    applied: bool = False
    report: dict | None = None
    thumbnail: np.ndarray | None = None
    waits: str = ""
    download: str = ""
    batch: str = ""

    @property
    def job(self) -> str:
        return self.event.job

    @property
    def expected_topology(self) -> str:
        """What the mesh must still have when the result arrives. Takes a while, unless it has been worked out
        already."""
        return self.target.topology if self.target else self.topology

    @property
    def settled(self) -> bool:
        """Nothing more will happen by itself."""
        return self.applied or self.error is not None

    @property
    def queued(self) -> bool:
        """It waits for the jobs before it."""
        return not self.settled and self.result is None and self.event.state is State.QUEUED
