"""Which painters there are."""

from .draft.painter import Draft
from .painter import Painter


def painter(name: str) -> Painter:
    """The painter of a name that :class:`backend.api.settings.Settings` knows."""
    return {"draft": Draft}[name]()
