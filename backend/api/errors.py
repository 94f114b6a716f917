"""Errors a user can act on. They cross the wire as data, never as a pickled exception."""


class OrbitError(Exception):
    """An error with a sentence for the user.

    Attributes:
        message: what is wrong and what to do, in one or two sentences.
        fix: name of the action that mends it, which the panel offers as a button (see ``addon/ui``); "" where
            there is none.
    """

    code = "internal"

    def __init__(self, message: str, fix: str = ""):
        super().__init__(message)
        self.message = message
        self.fix = fix

    def to_dict(self) -> dict:
        return {"code": self.code, "message": self.message, "fix": self.fix}

    @staticmethod
    def from_dict(data: dict) -> "OrbitError":
        """The error that :meth:`to_dict` described; an unknown code becomes a plain :class:`OrbitError`."""
        kind = _BY_CODE.get(data.get("code"), OrbitError)
        return kind(
            str(data.get("message", "The worker reported an error without a message.")),
            str(data.get("fix", "")),
        )


class InvalidMesh(OrbitError):
    """The mesh cannot be textured: empty, not finite, too large."""

    code = "invalid_mesh"


class InvalidImage(OrbitError):
    """The reference image cannot be read or shows nothing."""

    code = "invalid_image"


class InvalidSettings(OrbitError):
    """A setting has the wrong type or lies outside its range."""

    code = "invalid_settings"


class InvalidTarget(OrbitError):
    """What is selected cannot receive a texture: not a mesh, linked, in edit mode, changed meanwhile."""

    code = "invalid_target"


class Cancelled(OrbitError):
    """The user cancelled the job."""

    code = "cancelled"

    def __init__(
        self, message: str = "Cancelled. Stages that were finished are kept for the next run.", fix: str = ""
    ):
        super().__init__(message, fix)


class WorkerDied(OrbitError):
    """The worker process ended in the middle of a job."""

    code = "worker_died"


class NoWorker(OrbitError):
    """No server answers, or none is installed."""

    code = "no_worker"


class VersionMismatch(OrbitError):
    """Client and server speak different versions of the protocol."""

    code = "version_mismatch"


class ProtocolError(OrbitError):
    """A message does not follow the protocol."""

    code = "protocol"


class StorageError(OrbitError):
    """A folder cannot be written or the disk is full."""

    code = "storage"


class OutOfMemory(OrbitError):
    """The job needs more memory than there is."""

    code = "out_of_memory"


class InvalidWeights(OrbitError):
    """A model's files are missing, damaged or of another model."""

    code = "invalid_weights"


class DownloadFailed(OrbitError):
    """A server cannot be reached, or does not give what it should. What has arrived is kept."""

    code = "download_failed"


_BY_CODE = {
    kind.code: kind
    for kind in (
        InvalidMesh,
        InvalidImage,
        InvalidSettings,
        InvalidTarget,
        Cancelled,
        WorkerDied,
        NoWorker,
        VersionMismatch,
        ProtocolError,
        StorageError,
        OutOfMemory,
        InvalidWeights,
        DownloadFailed,
    )
}
