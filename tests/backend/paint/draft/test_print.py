"""What is printed on an object or faces one way is not on its other side."""

from collections.abc import Callable

import numpy as np
import pytest
import trimesh
from PIL import Image, ImageDraw, ImageFont

from backend.api.settings import Settings
from backend.paint.draft.painter import DraftPainter
from backend.paint.preview import ignore_preview
from backend.paint.reference import decode
from backend.render.rasterize import GBuffer, normals, positions, rasterize, render
from tests.meshes import camera_at, ignore_progress, run_at_once, surface_of

INK = (250, 230, 40)
GROUND = (40, 60, 150)

Paint = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""``paint(points (N, 3), normals (N, 3)) -> (N, 3)`` colours 0..255."""


def box(size, place=(0, 0, 0)) -> trimesh.Trimesh:
    return trimesh.creation.box(size).apply_translation(place)


def join(*meshes) -> trimesh.Trimesh:
    return trimesh.util.concatenate(list(meshes))


def car() -> trimesh.Trimesh:
    """Longer in front than behind; its sides look along x."""
    wheels = (
        trimesh.creation.icosphere(2, 0.2).apply_translation((x, y, -0.2))
        for x in (-0.4, 0.4)
        for y in (-0.8, 0.6)
    )
    return join(box((1, 2.2, 0.5)), box((0.9, 1, 0.4), (0, 0.4, 0.45)), *wheels)


def head() -> trimesh.Trimesh:
    """As symmetric between front and back as between left and right; the face looks along x."""
    ears = (trimesh.creation.icosphere(2, 0.2).apply_translation((0, y, 0)) for y in (-1, 1))
    return join(trimesh.creation.icosphere(4), *ears)


def shirt() -> trimesh.Trimesh:
    return join(box((1, 0.35, 1.3)), box((1.7, 0.3, 0.35), (0, 0, 0.45)))


def write(text: str) -> np.ndarray:
    """(128, 256) bool: letters."""
    image = Image.new("L", (256, 128))
    ImageDraw.Draw(image).text((128, 64), text, 255, ImageFont.load_default(80), "mm")
    return np.asarray(image) > 127


def print_text(text: str, side: tuple[int, int], width: float) -> Paint:
    """Letters on the side whose normals look along an axis, forwards or backwards."""
    axis, sign = side
    ink, across = write(text), 1 - axis
    handed = sign if axis == 0 else -sign

    def paint(points, directions):
        column = handed * points[:, across] / width + 0.5
        row = 0.5 - 2 * points[:, 2] / width
        on = (directions[:, axis] * sign > 0.5) & (np.abs(column - 0.5) < 0.5) & (np.abs(row - 0.5) < 0.5)
        color = np.tile(np.uint8(GROUND), (len(points), 1))
        place = (row[on] * 128).astype(int), (column[on] * 256).astype(int)
        color[on] = np.where(ink[place][:, None], np.uint8(INK), np.uint8(GROUND))
        return color

    return paint


def draw_face(points, directions):
    """Two eyes and a mouth."""
    color = np.tile(np.uint8(GROUND), (len(points), 1))
    eyes = np.hypot(np.abs(points[:, 1]) - 0.15, points[:, 2] - 0.1) < 0.06
    mouth = (np.abs(points[:, 1]) < 0.13) & (np.abs(points[:, 2] + 0.15) < 0.03)
    color[(eyes | mouth) & (points[:, 0] > 0)] = INK
    return color


def draw_emblem(points, directions):
    """A disc in the middle of what looks to the front."""
    color = np.tile(np.uint8(GROUND), (len(points), 1))
    color[(np.hypot(points[:, 0], points[:, 2]) < 0.12) & (directions[:, 1] < -0.5)] = INK
    return color


def count_ink(frame: np.ndarray, buffer: GBuffer) -> float:
    """The share of the mesh in a frame that has the colour of ink."""
    return float((np.abs(frame[buffer.mask].astype(int) - INK).max(axis=1) < 90).mean())


@pytest.mark.parametrize(
    ("mesh", "paint", "azimuth"),
    [
        (box((2, 0.02, 1.2)), print_text("EXIT", (1, -1), 0.7), 10),
        (box((2, 0.02, 1.2)), draw_emblem, -20),
        (car(), print_text("46", (0, 1), 0.3), 80),
        (shirt(), print_text("GYM", (1, -1), 0.4), 0),
        (head(), draw_face, 90),
    ],
    ids=["card", "emblem on a card", "car", "shirt", "head"],
)
def test_print_and_faces_are_not_on_the_other_side(mesh, paint, azimuth):
    surface = surface_of(mesh)
    cameras = [camera_at(azimuth + turn, 5, 320, 2.4, 1.5) for turn in (0, 180)]
    buffers = render(surface, cameras)
    shown = rasterize(surface.vertices, surface.faces, cameras[0])
    image = np.zeros((320, 320, 4), np.uint8)
    inside = shown.mask
    image[inside, :3] = paint(positions(shown)[inside], normals(shown, surface)[inside])
    image[inside, 3] = 255
    frames = (
        DraftPainter()
        .paint(
            surface,
            buffers,
            decode(image),
            Settings(azimuth=float(azimuth), elevation=5.0),
            ignore_progress,
            run_at_once,
            ignore_preview,
        )
        .frames
    )
    front, back = (count_ink(frame, buffer) for frame, buffer in zip(frames, buffers, strict=True))
    assert front > 0.005
    assert back < 0.1 * front
