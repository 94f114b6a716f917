"""The events by which the server reports the state of a job to its clients."""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from .devices import Device
from .errors import OrbitError, ProtocolError
from .job import Result


class State(StrEnum):
    """The state of a job. The last three are final."""

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
        state: its state.
        stage: the running pipeline stage (``prepare``, ``register``, ``render`` …), "" while there is none.
        fraction: of the whole job that is done, 0 to 1.
        seconds_left: an estimate; None while there is none yet.
        message: a status for the panel.
        device: the device at work, with its memory use; None while it is unknown.
        error: the reason, for ``FAILED`` and ``CANCELLED``.
        result: the result, for ``FINISHED`` once the client has fetched it.
        preview: (N, S, S, 3) uint8 sRGB, what is being painted; None if there is nothing new.
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
        """All fields but result and preview, which travel in separate messages."""
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
        """The event from :meth:`to_dict`. Raises :class:`ProtocolError` for anything else."""
        try:
            return JobEvent(
                data["job"],
                State(data["state"]),
                data.get("stage", ""),
                float(data.get("fraction", 0.0)),
                data.get("seconds_left"),
                data.get("message", ""),
                OrbitError.from_dict(data["error"]) if data.get("error") else None,
                device=Device(**data["device"]) if data.get("device") else None,
            )
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ProtocolError(f"The state of a job cannot be read ({error}).", "restart_worker") from error
