"""Pictures with something wrong: is that borne, or said?

    python -m benchmarks.hard_pictures [--folder FOLDER] [--each 2] [--meshes chair ...] [--kinds held ...]
        [--json FILE]

The pictures are those of ``benchmarks/pictures.py``, changed:

``held``: the fingers of a hand from the nearest border lie on the object; they are not part of its mask.
``cut off``: cropped so that a quarter of the object's box lies outside.
``close-up``: cropped so that the object touches three borders.
``twice``: another picture of the same mesh stands beside it, as on a sheet of two views; either is right.
``small``: the object's box measures 15 % of the longer side.
``other``: the picture shows another mesh, so that every view is wrong.

A view is right within 5 degrees, of a mesh that looks the same all around by its elevation alone. ``said``:
the picture was refused, the view reported as doubtful, or there is a note about the object, for it is what a
user reads. ``unsaid``: pictures whose view is wrong, or whose mask is below IoU 0.85, without a word. The
mask's IoU is counted where the view is right.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from backend.api.errors import InvalidImage
from backend.mesh.surface import Surface
from backend.paint.camera.outline import intersection_over_union
from backend.paint.camera.registration import register_reference
from backend.paint.reference import Reference

from .pictures import RIGHT_ANGLE, picture_parser, read_facts, read_surface, render_pictures, view_error
from .report import Report

COLUMNS = ("pictures", "right view", "said when wrong", "said when right", "mean IoU", "unsaid", "refused")
"""What is said of the pictures of a kind."""

GOOD_OVERLAP = 0.85
"""Intersection over union with the true mask from which on it will do."""

SKIN = np.float32([0.80, 0.58, 0.47])
"""sRGB of a hand in full light."""


@dataclass(frozen=True)
class HardPicture:
    """A changed picture.

    Attributes:
        color: (H, W, 3) float32 sRGB.
        masks: (H, W) bool each, the visible part of every object that shows the mesh; none if none does.
        facts: of each of them, as in a picture's JSON.
    """

    color: np.ndarray
    masks: tuple[np.ndarray, ...]
    facts: tuple[dict, ...]

    @property
    def mask(self) -> np.ndarray:
        """That of the first object."""
        return self.masks[0]


@dataclass(frozen=True)
class Outcome:
    """What registration made of a picture: the degrees to the nearest right view, the mask's intersection
    over union, whether a doubt or a note was reported, and whether the picture was refused."""

    degrees: float
    overlap: float
    said: bool
    refused: bool


def main() -> None:
    options = picture_parser(__doc__, each=2)
    options.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    chosen = options.parse_args()
    render_pictures(chosen.folder, chosen.meshes, chosen.each + 1)
    outcomes = defaultdict(list)
    for number, mesh in enumerate(chosen.meshes):
        surface = read_surface(chosen.folder / "meshes" / f"{mesh}.npz")
        for kind in chosen.kinds:
            shown = chosen.meshes[(number + 3) % len(chosen.meshes)] if kind == "other" else mesh
            for picture in make_pictures(chosen.folder, kind, shown, chosen.each):
                outcomes[kind].append(measure(surface, picture))
    report = Report(["kind", *COLUMNS], chosen.json)
    for kind, group in outcomes.items():
        report.add(kind, *summarize(group))


def make_pictures(folder: Path, kind: str, mesh: str, each: int) -> Iterator[HardPicture]:
    """The first pictures of a mesh, changed."""
    for number in range(each):
        first, second = (read_picture(folder / f"{mesh}_{k}.jpg") for k in (number, number + 1))
        yield KINDS[kind](first, second)


def read_picture(path: Path) -> HardPicture:
    """A picture of the folder, as it is."""
    color = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
    mask = np.asarray(Image.open(path.with_suffix(".albedo.png")))[..., 3] > 127
    return HardPicture(color, (mask,), (read_facts(path),))


def measure(surface: Surface, picture: HardPicture) -> Outcome:
    """Registers a picture and compares with the truth."""
    try:
        found = register_reference(
            surface,
            Reference(picture.color, np.ones(picture.color.shape[:2], np.float32)),
            None,
            lambda done: None,
        )
    except InvalidImage:
        return Outcome(180.0, 0.0, True, True)
    own = found.reference.alpha > 0.5
    objects = [
        (view_error(found.match.view, facts), intersection_over_union(own, mask))
        for facts, mask in zip(picture.facts, picture.masks, strict=True)
    ]
    # Of two objects, the one that was found.
    degrees, overlap = max(objects, key=lambda pair: pair[1], default=(180.0, 0.0))
    said = found.doubtful or bool(found.notes) or bool(found.reference.mask_notes)
    return Outcome(degrees, overlap, said, False)


def summarize(outcomes: list[Outcome]) -> tuple:
    """The values of a row, as in :data:`COLUMNS`."""
    right = [outcome for outcome in outcomes if outcome.degrees <= RIGHT_ANGLE]
    wrong = [outcome for outcome in outcomes if outcome.degrees > RIGHT_ANGLE]
    bad = [outcome for outcome in outcomes if outcome in wrong or outcome.overlap < GOOD_OVERLAP]
    return (
        len(outcomes),
        len(right),
        f"{sum(outcome.said for outcome in wrong)} of {len(wrong)}",
        f"{sum(outcome.said for outcome in right)} of {len(right)}",
        float(np.mean([outcome.overlap for outcome in right])) if right else float("nan"),
        sum(not outcome.said for outcome in bad),
        sum(outcome.refused for outcome in outcomes),
    )


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a mask (H, W) bool, the last two exclusive."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def hold(picture: HardPicture, _: HardPicture) -> HardPicture:
    """Four fingers from the nearer side lie on the object, about a third of its width."""
    left, top, right, bottom = box_of(picture.mask)
    height, width = picture.mask.shape
    from_left = left < width - right
    border = -20.0 if from_left else width + 20.0
    tip = left + 0.33 * (right - left) if from_left else right - 0.33 * (right - left)
    radius, middle = 0.055 * np.sqrt((right - left) * (bottom - top)), 0.5 * (top + bottom)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    color, mask = picture.color.copy(), picture.mask.copy()
    for finger, reach in enumerate((0.6, 0.95, 1.0, 0.8)):
        row = middle + (finger - 1.5) * 1.9 * radius
        end = border + (tip - border) * (0.85 + 0.15 * reach)
        # A capsule from beyond the border to the tip, lit from above.
        along = np.clip(columns, min(border, end), max(border, end))
        distance = np.hypot(columns - along, rows - row) / radius
        shade = 0.55 + 0.45 * np.sqrt(np.clip(1 - np.square(distance), 0, 1)) * (
            1 - 0.4 * (rows - row) / radius
        )
        shadow = np.clip(1.6 - distance, 0, 0.5)[..., None]
        inside = (distance < 1)[..., None]
        color = np.where(inside, SKIN * np.clip(shade, 0.2, 1.15)[..., None], color * (1 - 0.6 * shadow))
        mask &= ~inside[..., 0]
    return HardPicture(np.clip(color, 0, 1).astype(np.float32), (mask,), picture.facts)


def crop(picture: HardPicture, left: int, top: int, right: int, bottom: int) -> HardPicture:
    """What is within a box, which may exceed the picture: there the border's colours continue."""
    height, width = picture.mask.shape
    beyond = max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0)
    color = cv2.copyMakeBorder(picture.color, *beyond, cv2.BORDER_REPLICATE)
    mask = cv2.copyMakeBorder(picture.mask.astype(np.uint8), *beyond, cv2.BORDER_CONSTANT)
    window = slice(top + beyond[0], bottom + beyond[0]), slice(left + beyond[2], right + beyond[2])
    return HardPicture(np.ascontiguousarray(color[window]), (mask[window] > 0,), picture.facts)


def cut_off(picture: HardPicture, _: HardPicture) -> HardPicture:
    """The right quarter of the object's box is outside."""
    left, _, right, _ = box_of(picture.mask)
    return crop(picture, 0, 0, round(right - 0.25 * (right - left)), picture.mask.shape[0])


def close_up(picture: HardPicture, _: HardPicture) -> HardPicture:
    """The object's sides and its lower end touch the border."""
    left, top, right, bottom = box_of(picture.mask)
    inset = round(0.02 * max(right - left, bottom - top))
    return crop(picture, left + inset, max(top - 4 * inset, 0), right - inset, bottom - inset)


def place_beside(picture: HardPicture, other: HardPicture) -> HardPicture:
    """A sheet of two views."""
    height = picture.mask.shape[0]
    scale = height / other.mask.shape[0]
    second = cv2.resize(other.color, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:height]
    color = np.concatenate([picture.color, second], axis=1)
    shown = cv2.resize(other.mask.astype(np.uint8), second.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
    nothing = [np.zeros(mask.shape, bool) for mask in (picture.mask, shown)]
    masks = np.hstack([picture.mask, nothing[1]]), np.hstack([nothing[0], shown])
    return HardPicture(np.clip(color, 0, 1), masks, (*picture.facts, *other.facts))


def shrink(picture: HardPicture, _: HardPicture) -> HardPicture:
    """The object's box measures 15 % of the longer side, in the middle of its ground."""
    left, top, right, bottom = box_of(picture.mask)
    size = round(max(right - left, bottom - top) / 0.15)
    x, y = (left + right - size) // 2, (top + bottom - size) // 2
    wide = crop(picture, x, y, x + size, y + size)
    shape = (1024, 1024)
    color = cv2.resize(wide.color, shape, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(wide.mask.astype(np.float32), shape, interpolation=cv2.INTER_AREA) > 0.5
    return HardPicture(np.clip(color, 0, 1), (mask,), picture.facts)


def show_another(picture: HardPicture, _: HardPicture) -> HardPicture:
    """As it is, but no view of it is right."""
    return HardPicture(picture.color, (), ())


KINDS: dict[str, Callable[[HardPicture, HardPicture], HardPicture]] = {
    "held": hold,
    "cut off": cut_off,
    "close-up": close_up,
    "twice": place_beside,
    "small": shrink,
    "other": show_another,
}

if __name__ == "__main__":
    main()
