"""Which painters there are."""

from .draft.painter import Draft
from .no_views import Nobody
from .painter import Painter


def painter(name: str) -> Painter:
    """The painter of a name that :class:`backend.api.settings.Settings` knows."""
    if name == "orbitpainter":
        from .orbitpainter.painter import (
            OrbitPainter,
        )  # torch and diffusers take seconds to import, which Draft does not need

        return OrbitPainter()
    return Nobody() if name == "trellis2" else Draft()
