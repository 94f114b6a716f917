"""Weights as a job of the worker: what the button in Blender starts, after its user has agreed to the
list."""

from ..api import paths
from ..api.errors import DownloadFailed
from ..api.job import Result
from ..api.weights import MODELS
from .install import Progress, install, installed
from .plan import look, surprise


def bring(model: str, progress: Progress) -> Result:
    """Sees to it that a model's weights are there; the result holds nothing.

    Raises:
        DownloadFailed: a server cannot be reached, or has something else than the user has agreed to.
        OrbitError: see :func:`backend.weights.install.install`.
    """
    needs, target = MODELS[model], paths.models() / model
    if not (target.exists() and installed(needs, target)):
        manifest = look(needs, target)
        if changed := surprise(needs, manifest):
            raise DownloadFailed(f"{changed} Look at its page. To take it nevertheless, run: {needs.command}")
        install(needs, manifest, target, progress)
    return Result(None, {}, {"model": model})
