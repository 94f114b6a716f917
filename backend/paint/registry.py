"""The painters by name."""

from .draft.painter import Draft
from .painter import Painter


def load_painter(name: str) -> Painter:
    """The painter of a name that :class:`backend.api.settings.Settings` knows and that paints views."""
    if name == "orbitpainter":
        # Not above: torch and diffusers take seconds to import, which the draft does not need.
        from .orbitpainter.painter import OrbitPainter

        return OrbitPainter()
    return Draft()
