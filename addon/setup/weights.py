"""Which models' weights are on this computer. Kept in memory, since a panel that draws must not read
files."""

from ...backend.api.settings import Settings
from ...backend.api.weights import MODELS, ORBITPAINTER, TRELLIS2, WeightsSpec, find_weights

_installed: set[str] = set()


def missing(settings: Settings) -> list[WeightsSpec]:
    """The weights that a job needs and that were not there at the last refresh."""
    needed = [(ORBITPAINTER, settings.painter == ORBITPAINTER.name), (TRELLIS2, settings.refines)]
    return [needs for needs, is_needed in needed if is_needed and not is_installed(needs)]


def is_installed(needs: WeightsSpec) -> bool:
    """Whether a model's weights were there at the last refresh."""
    return needs.name in _installed


def refresh() -> set[str]:
    """Looks for all models again; returns the names of those that are there."""
    global _installed
    _installed = {name for name, spec in MODELS.items() if find_weights(spec)}
    return _installed
