"""The download of weights as a job of the worker, which a button in Blender starts after its user has agreed
to the list."""

from ..api import paths
from ..api.errors import DownloadFailed
from ..api.job import Result
from ..api.weights import MODELS
from ..progress import JobProgress
from .install import install, is_installed
from .plan import find_deviation, resolve_manifest


def download_model(model: str, progress: JobProgress) -> Result:
    """Installs a model's weights unless they are installed; the result holds no textures.

    Raises:
        DownloadFailed: a server cannot be reached, or has something else than the user has agreed to.
        OrbitError: see :func:`backend.weights.install.install`.
    """
    spec, target = MODELS[model], paths.models() / model
    if not (target.exists() and is_installed(spec, target)):
        manifest = resolve_manifest(spec, target)
        if deviation := find_deviation(spec, manifest):
            raise DownloadFailed(
                f"{deviation} Look at its page. To take it nevertheless, run: {spec.command}"
            )
        install(spec, manifest, target, progress)
    return Result(None, {}, {"model": model})
