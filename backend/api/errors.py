"""Errors that a user can act on. They travel as data, never as pickled exceptions."""

MAX_MESSAGE = 2000
"""Letters of a message that travels, which may repeat what it refuses. A longer one is cut."""


class OrbitError(Exception):
    """An error with a message for the user.

    Attributes:
        message: what is wrong and what to do, in one or two sentences.
        fix: name of the action that fixes it, which the panel offers as a button (see ``addon/ui``); "" if
            there is none.
    """

    code = "internal"
    details: tuple[str, ...] = ()
    """Names of the further attributes of a kind of error, each JSON data."""

    def __init__(self, message: str, fix: str = ""):
        super().__init__(message)
        self.message = message
        self.fix = fix

    def to_dict(self) -> dict:
        """What travels, as plain data for JSON."""
        message = self.message
        if len(message) > MAX_MESSAGE:
            message = message[: MAX_MESSAGE - 2] + " …"
        details = {name: getattr(self, name) for name in self.details}
        return {"code": self.code, "message": message, "fix": self.fix} | details

    @staticmethod
    def from_dict(data: dict) -> "OrbitError":
        """The error from :meth:`to_dict`; an unknown code becomes a plain :class:`OrbitError`."""
        kind = _BY_CODE.get(data.get("code"), OrbitError)
        details = {name: data[name] for name in kind.details if name in data}
        return kind(
            str(data.get("message", "The worker reported an error without a message.")),
            str(data.get("fix", "")),
            **details,
        )


class InvalidMesh(OrbitError):
    """The mesh cannot be textured: it is empty, not finite or too large."""

    code = "invalid_mesh"


class InvalidImage(OrbitError):
    """The reference image cannot be read or shows nothing."""

    code = "invalid_image"


class InvalidSettings(OrbitError):
    """A setting has the wrong type or lies outside its range."""

    code = "invalid_settings"


class InvalidTarget(OrbitError):
    """The selected object cannot receive a texture: it is no mesh, is linked, in edit mode, or has
    changed."""

    code = "invalid_target"


class DoubtfulView(OrbitError):
    """The view of the reference is uncertain, and the job was to stop in that case.

    Attributes:
        candidates: the likeliest views, best first, as in the report of :class:`backend.api.job.Result`.
    """

    code = "doubtful_view"
    details = ("candidates",)

    def __init__(self, message: str, fix: str = "", candidates: list[dict] | None = None):
        super().__init__(message, fix)
        self.candidates = candidates or []


class Cancelled(OrbitError):
    """The user cancelled the job."""

    code = "cancelled"

    def __init__(self, message: str = "Cancelled. Finished stages are kept for the next run.", fix: str = ""):
        super().__init__(message, fix)


class WorkerDied(OrbitError):
    """The worker process ended in the middle of a job."""

    code = "worker_died"


class NoWorker(OrbitError):
    """No server answers, or the backend is not installed."""

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
    """A model's files are missing, damaged or belong to another model."""

    code = "invalid_weights"


class DownloadFailed(OrbitError):
    """A download server cannot be reached or sends wrong data. What was downloaded is kept."""

    code = "download_failed"


_BY_CODE = {
    kind.code: kind
    for kind in (
        InvalidMesh,
        InvalidImage,
        InvalidSettings,
        InvalidTarget,
        DoubtfulView,
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
