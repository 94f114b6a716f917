"""The painters by name."""

from .draft.painter import DraftPainter
from .no_views import NoViews
from .painter import Painter


def painter(name: str) -> Painter:
    """The painter of a name that :class:`backend.api.settings.Settings` knows."""
    if name == "orbitpainter":
        from .orbitpainter.painter import (
            OrbitPainter,
        )  # torch and diffusers take seconds to import, which the draft does not need

        return OrbitPainter()
    return NoViews() if name == "trellis2" else DraftPainter()
