"""Weights as a job of the worker: what the button in Blender starts, after its user has agreed to the list."""

from ..api import paths
from ..api.errors import DownloadFailed
from ..api.job import Result
from ..api.weights import COMMAND, ORBITPAINTER
from .install import Progress, install, installed
from .plan import look, surprise


def bring(painter: str, progress: Progress) -> Result:
    """Sees to it that a painter's weights are there; the result holds nothing.

    Raises:
        DownloadFailed: a server cannot be reached, or has something else than the user has agreed to.
        OrbitError: see :func:`backend.weights.install.install`.
    """
    target = paths.models() / painter
    if not (target.exists() and installed(target)):
        manifest = look(ORBITPAINTER, target)
        if changed := surprise(ORBITPAINTER, manifest):
            raise DownloadFailed(f"{changed} Look at its page. To take it nevertheless, run: {COMMAND}")
        install(ORBITPAINTER, manifest, target, progress)
    return Result(None, {}, {"painter": painter})
