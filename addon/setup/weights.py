"""Which models' weights are on this computer. Looked up when that may have changed, since a panel that draws
reads no files."""

from ...backend.api import paths
from ...backend.api.settings import Settings
from ...backend.api.weights import MODELS, ORBITPAINTER, TRELLIS2, WeightsSpec

_there: set[str] = set()


def missing(settings: Settings) -> list[WeightsSpec]:
    """What a job needs and was not there when last looked for."""
    needed = [(ORBITPAINTER, settings.painter == ORBITPAINTER.name), (TRELLIS2, settings.refines)]
    return [needs for needs, wanted in needed if wanted and not there(needs)]


def there(needs: WeightsSpec) -> bool:
    """Whether they were there when last looked for."""
    return needs.name in _there


def look() -> set[str]:
    """Looks for all of them, and returns the names of those that are there; a folder is there only when it is
    whole."""
    global _there
    _there = {name for name in MODELS if (paths.models() / name).is_dir()}
    return _there
