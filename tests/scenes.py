"""Ordinary references of small meshes: lit by a lamp and the sky, on a floor before a wall, with a soft
shadow, other things around them, and noise."""

from dataclasses import dataclass

import cv2
import numpy as np
import trimesh

from backend.mesh.surface import Surface
from backend.paint.camera.view import View
from backend.paint.reference import Reference
from backend.render.rasterize import normals, positions, rasterize
from tests.meshes import paint_solid

LAMP = np.array([-0.5, -0.55, 0.67])
"""(3,) unit vector towards the lamp, from the left and above."""


@dataclass(frozen=True)
class Scene:
    """What surrounds the object, and how it is painted.

    Attributes:
        ground: sRGB 0..1 of wall and floor.
        paint: sRGB 0..1 of the object; None for strong colours.
        shadow: part of the light that is missing under the object.
        clutter: other things around the object.
        noise: standard deviation, sRGB 0..1.
    """

    ground: tuple[float, float, float] = (0.86, 0.86, 0.88)
    paint: tuple[float, float, float] | None = None
    shadow: float = 0.45
    clutter: int = 0
    noise: float = 0.006


def chair() -> trimesh.Trimesh:
    """A seat with a back and one arm, on four thin legs."""
    boxes = [
        ((1.0, 1.0, 0.12), (0.0, 0.0, 0.0)),
        ((1.0, 0.1, 1.0), (0.0, 0.45, 0.5)),
        ((0.1, 0.7, 0.1), (0.45, 0.05, 0.4)),
        *(((0.07, 0.07, 0.9), (x, y, -0.5)) for x in (-0.45, 0.45) for y in (-0.45, 0.45)),
        ((0.07, 0.07, 0.4), (0.45, -0.3, 0.2)),
    ]
    return join_boxes(boxes)


def mug() -> trimesh.Trimesh:
    """A cup with a wide handle on its right."""
    cup = trimesh.creation.cylinder(0.5, 1.1, sections=40)
    handle = trimesh.creation.torus(0.34, 0.06, major_sections=40, minor_sections=12)
    handle.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, (1, 0, 0)))
    handle.apply_translation((0.62, 0, 0))
    return trimesh.util.concatenate([cup, handle])


def bottle() -> trimesh.Trimesh:
    """A bottle that looks the same from all around."""
    profile = [(0, 0), (0.28, 0), (0.3, 0.04), (0.3, 0.6), (0.1, 0.85), (0.1, 1.1), (0, 1.1)]
    return trimesh.creation.revolve(profile, sections=48)


def van() -> trimesh.Trimesh:
    """A box on four wheels, with a lower bonnet in front."""
    body = join_boxes([((0.8, 1.3, 0.8), (0, 0.2, 0.5)), ((0.8, 0.5, 0.4), (0, -0.7, 0.3))])
    wheels = []
    for x in (-0.36, 0.36):
        for y in (-0.6, 0.55):
            wheel = trimesh.creation.cylinder(0.17, 0.14, sections=20)
            wheel.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, (0, 1, 0)))
            wheel.apply_translation((x, y, 0.1))
            wheels.append(wheel)
    return trimesh.util.concatenate([body, *wheels])


def plane() -> trimesh.Trimesh:
    """An upright square, which faces the front."""
    corners = [(0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1)]
    return trimesh.Trimesh(corners, [(0, 1, 2), (0, 2, 3)], process=False)


def triangle() -> trimesh.Trimesh:
    """One upright triangle, which faces the front."""
    return trimesh.Trimesh([(0, 0, 0), (1, 0, 0), (0.3, 0, 0.8)], [(0, 1, 2)], process=False)


def loose_leaves(count: int = 1500) -> trimesh.Trimesh:
    """Small triangles that touch nothing."""
    rng = np.random.default_rng(1)
    corners = rng.normal(0, 0.3, (count, 1, 3)) + rng.normal(0, 0.02, (count, 3, 3))
    return trimesh.Trimesh(corners.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3), process=False)


def join_boxes(boxes: list) -> trimesh.Trimesh:
    """One mesh of boxes, each given by its sides and its centre."""
    parts = []
    for sides, centre in boxes:
        part = trimesh.creation.box(sides)
        part.apply_translation(centre)
        parts.append(part)
    return trimesh.util.concatenate(parts)


def view_at(azimuth: float, elevation: float, zoom: float = 0.55, x: float = 0.5, y: float = 0.5) -> View:
    """A usual view from ``azimuth`` and ``elevation`` in degrees."""
    return View(azimuth, elevation, 0.0, 2.8, zoom, x, y)


def photograph(
    surface: Surface, view: View, scene: Scene = Scene(), shape: tuple[int, int] = (288, 320), seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) float32 sRGB of the object in its scene, and (H, W) bool, where it is; ``shape`` is height
    and width."""
    rng = np.random.default_rng(seed)
    camera = view.camera(2 * shape[1], 2 * shape[0])
    buffer = rasterize(surface.vertices, surface.faces, camera)
    image = draw_ground(buffer.mask, scene, rng)
    image[buffer.mask] = light_object(surface, buffer, scene)[buffer.mask]
    image = cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA)
    image += scene.noise * rng.standard_normal(image.shape).astype(np.float32)
    return np.clip(image, 0, 1), rasterize(surface.vertices, surface.faces, view.camera(*shape[::-1])).mask


def draw_ground(mask: np.ndarray, scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) float32: a wall that darkens downwards, a floor that lightens, other things, and the shadow
    of the object, whose ``mask`` (H, W) bool this is."""
    height, width = mask.shape
    horizon = int(0.45 * height)
    light = np.concatenate([np.linspace(1.0, 0.9, horizon), np.linspace(0.93, 1.02, height - horizon)])
    image = np.float32(light)[:, None, None] * np.float32(scene.ground) * np.ones((1, width, 1), np.float32)
    for _ in range(scene.clutter):
        middle = rng.uniform((0, 0), (width, height))
        box = cv2.boxPoints((middle, tuple(rng.uniform(0.06, 0.25, 2) * width), rng.uniform(0, 180)))
        cv2.fillPoly(image, [box.astype(np.int32)], rng.uniform(0.1, 0.9, 3).tolist(), cv2.LINE_AA)
    rows, columns = np.nonzero(mask)
    if len(rows):
        soft = np.zeros((height, width), np.float32)
        left, right, foot = columns.min(), columns.max(), rows.max()
        centre = int((left + right) / 2 + 0.12 * (right - left)), int(foot - 0.02 * height)
        cv2.ellipse(soft, centre, (int(0.6 * (right - left)), int(0.07 * height)), 0, 0, 360, 1.0, -1)
        image *= 1 - scene.shadow * cv2.GaussianBlur(soft, (0, 0), 0.02 * height)[..., None]
    return image


def light_object(surface: Surface, buffer, scene: Scene) -> np.ndarray:
    """(H, W, 3) float32: the paint under a lamp and the sky."""
    if scene.paint is None:
        paint = paint_solid(positions(buffer).reshape(-1, 3)).reshape(*buffer.mask.shape, 3) / 255
    else:
        paint = np.float32(scene.paint)
    normal = normals(buffer, surface)
    light = 0.62 + 0.43 * np.maximum(normal @ LAMP, 0) + 0.06 * normal[..., 2]
    return np.float32(paint * light[..., None])


def reference_of(color: np.ndarray) -> Reference:
    """The reference of an image (H, W, 3) without a mask."""
    return Reference(color, np.ones(color.shape[:2], np.float32))
