"""The part of the reference in which the object is looked for: around something small, the search sees more
of it."""

from dataclasses import dataclass, replace

import numpy as np

from ..view import View

SMALL = 0.25
"""Longer side of the foreground's box, as a fraction of the reference's, below which a window is used."""

SPREAD = 2.5
"""Sides of the window, in longer sides of that box: part of the object may not have been recognised."""


@dataclass(frozen=True)
class SearchWindow:
    """A box of an image, in pixels, and the image's width and height."""

    left: int
    top: int
    width: int
    height: int
    image_width: int
    image_height: int

    @property
    def whole(self) -> bool:
        """Whether it is all of the image."""
        return (self.width, self.height) == (self.image_width, self.image_height)

    def crop(self, image: np.ndarray) -> np.ndarray:
        """What of an image (H, W, ...) lies in the window."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]

    def extend_view(self, view: View) -> View:
        """The view of the whole image whose part in the window is that of ``view``."""
        return replace(
            view,
            zoom=view.zoom * self.width / self.image_width,
            x=(self.left + view.x * self.width) / self.image_width,
            y=(self.top + view.y * self.height) / self.image_height,
        )


def choose_windows(foreground: np.ndarray) -> list[SearchWindow]:
    """The windows in which the object is looked for, one after another: around a small foreground (H, W)
    bool, and the whole image."""
    height, width = foreground.shape
    windows = [SearchWindow(0, 0, width, height, width, height)]
    rows, columns = np.flatnonzero(foreground.any(axis=1)), np.flatnonzero(foreground.any(axis=0))
    size = max(np.ptp(rows), np.ptp(columns)) + 1 if len(rows) else max(foreground.shape)
    if size < SMALL * max(foreground.shape):
        middle, reach = np.array([columns[[0, -1]].mean(), rows[[0, -1]].mean()]), SPREAD * size / 2
        left, top = np.clip(middle - reach, 0, None).astype(int).tolist()
        right, bottom = np.clip(middle + reach, None, (width, height)).astype(int).tolist()
        windows.insert(0, SearchWindow(left, top, right - left, bottom - top, width, height))
    return windows
