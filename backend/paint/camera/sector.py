"""The directions among which the view of a picture is looked for."""

from collections.abc import Iterable
from dataclasses import dataclass

from .view import Direction, degrees_between

REACH = 60.0
"""Degrees from the middle of a side up to which a picture shows that side: "front" may be from the left of
it."""

_POLE = 88.0
"""Elevation of a view from the top: straight above, azimuth and roll are the same."""

_AROUND = tuple(float(azimuth) for azimuth in range(-180, 180, 30))

_MIDDLES: dict[str, tuple[tuple[Direction, ...], ...]] = {
    "front": (((0.0, 0.0),),),
    "back": (((180.0, 0.0),),),
    # The object's own left; those who mean that of the image follow.
    "left": (((90.0, 0.0),), ((-90.0, 0.0),)),
    "right": (((-90.0, 0.0),), ((90.0, 0.0),)),
    "top": (tuple((azimuth, _POLE) for azimuth in _AROUND),),
    "bottom": (tuple((azimuth, -_POLE) for azimuth in _AROUND),),
}


@dataclass(frozen=True)
class Sector:
    """Some of all directions.

    Attributes:
        near: a direction is at most ``reach`` degrees from one of these; all are if there are none.
        reach: degrees.
        apart: a direction is more than ``gap`` degrees from each of these.
        gap: degrees.
    """

    near: tuple[Direction, ...] = ()
    reach: float = REACH
    apart: tuple[Direction, ...] = ()
    gap: float = 45.0

    def admits(self, direction: Direction) -> bool:
        """Whether a direction is one of them."""
        is_near = not self.near or any(degrees_between(direction, one) <= self.reach for one in self.near)
        return is_near and all(degrees_between(direction, one) > self.gap for one in self.apart)

    def select(self, directions: Iterable[Direction]) -> list[Direction]:
        """Those of some directions, and the middles of the sector itself, which lie beyond the usual ones
        where it is the top or the bottom."""
        chosen = [direction for direction in directions if self.admits(direction)]
        return chosen + [middle for middle in self.near if abs(middle[1]) == _POLE and self.admits(middle)]


EVERYWHERE = Sector()
"""All directions."""


def list_sectors(side: str) -> list[Sector]:
    """The sectors that one of :data:`~backend.api.picture.SIDES` may mean, the likelier first."""
    return [Sector(near) for near in _MIDDLES[side]]
