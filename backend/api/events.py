"""What the server tells a client about a job, in the order things happen."""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from .devices import Device
from .errors import OrbitError
from .job import Result


class State(StrEnum):
    """Where a job stands. The last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self in (State.FINISHED, State.FAILED, State.CANCELLED)


@dataclass(frozen=True)
class JobEvent:
    """A job's state at one moment.

    Attributes:
        job: the job's id.
        state: where it stands.
        stage: the pipeline stage at work (``prepare``, ``render``, ``paint`` …), "" while none is.
        fraction: how much of the whole job is done, 0 to 1.
        seconds_left: estimate, None while nobody can know.
        message: what is going on, for the panel.
        device: what is at work, and how full its memory is; None while that is not known.
        error: why it failed, for ``FAILED`` and ``CANCELLED``.
        result: for ``FINISHED``, once the client has fetched it.
        preview: (N, S, S, 3) uint8 sRGB, what is being painted, when there is something new to see.
    """

    job: str
    state: State
    stage: str = ""
    fraction: float = 0.0
    seconds_left: float | None = None
    message: str = ""
    error: OrbitError | None = None
    result: Result | None = None
    preview: np.ndarray | None = field(default=None, compare=False)
    device: Device | None = None

    def to_dict(self) -> dict:
        """Everything but result and preview, which travel in messages of their own."""
        return {
            "job": self.job,
            "state": self.state.value,
            "stage": self.stage,
            "fraction": self.fraction,
            "seconds_left": self.seconds_left,
            "message": self.message,
            "error": self.error.to_dict() if self.error else None,
            "device": self.device.to_dict() if self.device else None,
        }

    @staticmethod
    def from_dict(data: dict) -> "JobEvent":
        error = OrbitError.from_dict(data["error"]) if data.get("error") else None
        device = Device(**data["device"]) if data.get("device") else None
        return JobEvent(
            data["job"],
            State(data["state"]),
            data.get("stage", ""),
            float(data.get("fraction", 0.0)),
            data.get("seconds_left"),
            data.get("message", ""),
            error,
            device=device,
        )
