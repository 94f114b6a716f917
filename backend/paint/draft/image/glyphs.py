"""Detects glyphs in the reference: large letters, digits and signs, which read wrongly in a mirror.

Rows of small letters are :mod:`.lettering`. A glyph may stand alone, like the number on a car's door. It is
a connected stroke of one colour and nearly one width, on plain ground, and is not its own mirror image; a
symmetric one, such as an O, counts only in a line with others. Blotches have no stroke, stripes are too long,
and eyes, wheels and windows are symmetric.
"""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class GlyphConfig:
    """What counts as a glyph."""

    # Pixels along the longer side of the object at which glyphs are looked for.
    size: int = 512
    # Colours that the object is reduced to.
    colors: int = 8
    # Difference between two colours, sRGB 0..1, up to which they count as one.
    same_color: float = 0.12
    # Pixels of the smallest blot that is looked at.
    min_area: int = 4
    # The same between a stroke and its ground from which on it is more than a band of shading.
    min_contrast: float = 0.2
    # Smallest height in pixels, and largest height and width as fractions of the object's longer side.
    min_height: int = 10
    max_size: float = 0.6
    # Largest ratio of width to height, and of height to width.
    max_width: float = 1.8
    max_height: float = 5.0
    # Spread of the stroke's width, as a fraction of it.
    max_spread: float = 0.4
    # Least length of the stroke in widths of it.
    min_length: float = 5.0
    # What counts as surroundings, in heights of the stroke and at least in pixels, and how much of them has
    # one colour at least, but for other blots of the stroke's own colour.
    reach: float = 0.3
    min_reach: int = 3
    min_ground: float = 0.85
    # How much of them lies beyond the object at most.
    max_beyond: float = 0.4
    # Overlap (IoU) with its own mirror image from which a stroke is symmetric.
    symmetric: float = 0.78
    # More glyphs than this are a pattern.
    max_glyphs: int = 40
    # Height of a line's letter at most, and gap between two, in heights of the one beside it.
    line_height: float = 1.7
    line_gap: float = 1.0
    # Height of a letter's dot at most, and its gap to the letter, in the same.
    dot_height: float = 0.4
    dot_gap: float = 0.5
    # Pixels around a stroke, at the size of the search, in which its colour and the ground's mix.
    margin: int = 2


def detect_glyphs(colors: np.ndarray, shown: np.ndarray, config: GlyphConfig = GlyphConfig()) -> np.ndarray:
    """(H, W) bool: the strokes of glyphs in an image (H, W, 3) float32 sRGB of an object (H, W) bool, a
    little widened; nothing where there are so many that they are a pattern."""
    rows, columns = np.nonzero(shown)
    result = np.zeros(shown.shape, bool)
    if not len(rows):
        return result
    # The object alone, at the size of the search.
    inside = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    height, width = shown[inside].shape
    scale = min(1.0, config.size / max(height, width))
    size = max(1, round(scale * width)), max(1, round(scale * height))
    small = cv2.resize(np.ascontiguousarray(colors[inside]), size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(shown[inside].astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    blots = _find_blots(*_reduce_colors(small, mask, config), config)
    glyphs = _select_glyphs([blot for blot in blots if blot.is_stroke], config)
    if len(glyphs) > config.max_glyphs:
        return result
    drawn = np.zeros(mask.shape, np.uint8)
    for blot in glyphs + _select_beside(blots, glyphs, config):
        drawn[blot.box][blot.shape] = 1
    drawn = cv2.dilate(drawn, np.ones((2 * config.margin + 1,) * 2, np.uint8))
    result[inside] = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_NEAREST) > 0
    return result & shown


@dataclass(frozen=True)
class Blot:
    """A connected region of one colour.

    Attributes:
        color: its number.
        box: rows and columns.
        shape: (h, w) bool in them.
        is_stroke: whether it is as a pen would draw it, on plain ground.
    """

    color: int
    box: tuple[slice, slice]
    shape: np.ndarray
    is_stroke: bool

    @property
    def height(self) -> int:
        return self.shape.shape[0]

    def is_symmetric(self, config: GlyphConfig) -> bool:
        """Whether it is its own mirror image."""
        mirrored = self.shape[:, ::-1]
        return (self.shape & mirrored).sum() > config.symmetric * (self.shape | mirrored).sum()

    def is_beside(self, other: "Blot", config: GlyphConfig) -> bool:
        """Whether it stands beside another one like a letter on its line, or by it like a dot."""
        (rows, columns), (other_rows, other_columns) = self.box, other.box
        gap = max(columns.start, other_columns.start) - min(columns.stop, other_columns.stop)
        is_letter = self.height > config.dot_height * other.height
        over = min(rows.stop, other_rows.stop) - max(rows.start, other_rows.start)
        return (
            self.color == other.color
            and self.height < config.line_height * other.height
            and self.shape.shape[1] < config.line_height * other.height
            and gap < config.line_gap * other.height
            and over > (0.5 * min(self.height, other.height) if is_letter else -config.dot_gap * other.height)
        )


def _reduce_colors(image: np.ndarray, mask: np.ndarray, config: GlyphConfig) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) int32: the few colours, by number, that an object (H, W) bool in an image (H, W, 3) has, -1
    beyond it; and these colours (C, 3) float32."""
    pixels = image[mask].astype(np.float32)
    count = min(config.colors, len(pixels))
    sample = pixels[np.linspace(0, len(pixels) - 1, min(len(pixels), 20_000)).astype(int)]
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 10, 0.01)
    _, _, centres = cv2.kmeans(sample, count, None, criteria, 2, cv2.KMEANS_PP_CENTERS)
    # Colours that hardly differ are one.
    number = np.arange(count)
    for first in range(count):
        near = np.abs(centres - centres[first]).max(axis=1) < config.same_color
        number[near & (number > number[first])] = number[first]
    result = np.full(mask.shape, -1, np.int32)
    result[mask] = number[np.square(pixels[:, None] - centres[None]).sum(axis=2).argmin(axis=1)]
    return result, centres


def _find_blots(color: np.ndarray, palette: np.ndarray, config: GlyphConfig) -> list[Blot]:
    """The blots of an image (H, W) of numbered colours, of a palette (C, 3), that are small enough for a
    glyph."""
    found = []
    longest = config.max_size * max(color.shape)
    for number in np.unique(color[color >= 0]):
        _, label, boxes, _ = cv2.connectedComponentsWithStats((color == number).astype(np.uint8))
        for part, (x, y, width, height, area) in enumerate(boxes[1:], 1):
            if max(width, height) > longest or area < config.min_area:
                continue
            # With its surroundings, which have to be plain.
            reach = max(config.min_reach, round(config.reach * height))
            around = slice(max(y - reach, 0), y + height + reach), slice(max(x - reach, 0), x + width + reach)
            has_shape = (
                height >= config.min_height
                and area >= 2 * height
                and width <= config.max_width * height
                and height <= config.max_height * width
                and _is_stroke(label[around] == part, config)
            )
            ground = _find_ground(label[around] == part, color[around], reach, config) if has_shape else None
            contrast = 0.0 if ground is None else np.abs(palette[number] - palette[ground]).max()
            box = slice(y, y + height), slice(x, x + width)
            is_stroke = bool(contrast > config.min_contrast)
            found.append(Blot(int(number), box, label[box] == part, is_stroke))
    return found


def _is_stroke(shape: np.ndarray, config: GlyphConfig) -> bool:
    """Whether a shape (H, W) bool is a stroke of nearly one width, much longer than wide."""
    distance = cv2.distanceTransform(shape.astype(np.uint8), cv2.DIST_L2, 5)
    ridge = shape & (distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8)) - 1e-3)
    width = 2 * distance[ridge] - 0.5
    mean, length = width.mean(), shape.sum() / width.mean()
    return bool(width.std() < config.max_spread * mean and length > config.min_length * mean)


def _find_ground(stroke: np.ndarray, color: np.ndarray, reach: int, config: GlyphConfig) -> int | None:
    """Which of the numbered colours (H, W) lies around a stroke (H, W) bool, within pixels, and fills its
    holes, too, as what an eye's white encloses does not; None if there are several."""
    shape = stroke.astype(np.uint8)
    # Next to the stroke colours mix.
    near = cv2.dilate(shape, np.ones((3, 3), np.uint8)) > 0
    around = (cv2.dilate(shape, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0) & ~near
    _, outside = cv2.connectedComponents((~stroke).astype(np.uint8), connectivity=4)
    border = np.concatenate([outside[0], outside[-1], outside[:, 0], outside[:, -1]])
    hole = ~near & ~np.isin(outside, np.unique(border[border > 0]))
    beside = color[around & ~hole & (color != color[stroke][0])]
    beyond = beside < 0
    if beyond.sum() >= config.max_beyond * len(beside) or (color[hole] < 0).any():
        return None
    beside = beside[~beyond]
    ground = np.bincount(beside).argmax()
    plain = [(part == ground).mean() for part in (beside, color[hole]) if len(part)]
    return ground if min(plain) > config.min_ground else None


def _select_glyphs(strokes: list[Blot], config: GlyphConfig) -> list[Blot]:
    """The strokes that are not their own mirror image, and those in a line with one of them."""
    chosen = [stroke for stroke in strokes if not stroke.is_symmetric(config)]
    return chosen + _select_beside(strokes, chosen, config)


def _select_beside(blots: list[Blot], chosen: list[Blot], config: GlyphConfig) -> list[Blot]:
    """The blots in a line with chosen ones, and with each other."""
    numbers = {id(blot) for blot in chosen}
    rest, found, joined = [blot for blot in blots if id(blot) not in numbers], [], chosen
    while joined:
        joined = [blot for blot in rest if any(blot.is_beside(other, config) for other in joined)]
        numbers = {id(blot) for blot in joined}
        rest = [blot for blot in rest if id(blot) not in numbers]
        found += joined
    return found
