"""Whether OrbitPainter's weights are on this computer. Looked up when that may have changed, since a panel that draws reads no files."""

from ..backend.api import paths
from ..backend.api.weights import ORBITPAINTER

_there = False


def there() -> bool:
    """They were when last looked for."""
    return _there


def look() -> bool:
    """Looks for them; the folder is there only when it is whole."""
    global _there
    _there = (paths.models() / ORBITPAINTER.name).is_dir()
    return _there
