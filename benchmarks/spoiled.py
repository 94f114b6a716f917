"""Pictures that do not show quite the mesh, or not all of it, or another thing: what a view search should
doubt when it fails on them."""

from dataclasses import replace

import cv2
import numpy as np

from backend.paint.reference import Reference
from backend.render.camera import Camera
from backend.render.rasterize import rasterize

from .scenes import Scene

KINDS = ("whole", "warped", "resembling", "barred", "cropped", "small", "other")
"""``whole`` is as it should be. In ``warped`` pictures everything lies beside its place, smoothly, by 1 to 4
% of the image at the most; ``resembling`` ones are of the mesh made up to 12 % longer or shorter along each
axis and bent; a bar hides a part of the ``barred`` object; a side of the image cuts off the ``cropped`` one;
``small`` ones have 64 pixels; ``other`` ones are of another mesh."""

SMALL = 64


def spoiled(
    kind: str, scene: Scene, camera: Camera, random: np.random.Generator, other: Scene
) -> tuple[Reference, Camera]:
    """The picture of a kind, and the camera under which the mesh itself would be seen so, for ``other`` the
    one that saw that."""
    if kind == "resembling":
        shape = scene.surface
        scene = replace(scene, surface=replace(shape, vertices=resembling(shape.vertices, random)))
        framed = framing(camera, shape.vertices, scene.surface.vertices)
        return pictured(scene, camera), framed
    if kind == "cropped":
        camera = cropping(camera, random)
    if kind == "small":
        camera = replace(camera, width=SMALL, height=SMALL)
    reference = pictured(other if kind == "other" else scene, camera)
    if kind == "warped":
        reference = warped(reference, random)
    if kind == "barred":
        reference = barred(reference, random)
    return reference, camera


def pictured(scene: Scene, camera: Camera, samples: int = 3) -> Reference:
    """The mesh as the camera sees it, straight alpha."""
    fine = replace(camera, width=samples * camera.width, height=samples * camera.height)
    mask = rasterize(scene.surface.vertices, scene.surface.faces, fine).mask
    alpha = mask.reshape(camera.height, samples, camera.width, samples).mean(axis=(1, 3), dtype=np.float32)
    color = scene.photograph(camera, samples) / np.maximum(alpha, 1e-6)[..., None] / 255
    return Reference(np.clip(color, 0, 1).astype(np.float32), alpha)


def resembling(vertices: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(V, 3) float32: longer or shorter by axis, and bent."""
    bend = vertices[:, 2:] ** 2 * [*random.uniform(-0.25, 0.25, 2), 0]
    return (vertices * random.uniform(0.88, 1.12, 3) + bend).astype(np.float32)


def framing(camera: Camera, vertices: np.ndarray, others: np.ndarray) -> Camera:
    """The camera with the size and place under which vertices (V, 3) come nearest to where it shows others
    (V, 3)."""
    (own, _), (target, _) = (
        camera.project(vertices.astype(np.float64)),
        camera.project(others.astype(np.float64)),
    )
    middle, aim = own.mean(axis=0), target.mean(axis=0)
    size = ((own - middle) * (target - aim)).sum() / ((own - middle) ** 2).sum()
    shape = np.array([camera.width, camera.height])
    centre = (size * (np.array(camera.centre) * shape - middle) + aim) / shape
    return replace(camera, focal=size * camera.focal, centre=tuple(centre))


def cropping(camera: Camera, random: np.random.Generator) -> Camera:
    """The camera turned aside until a part of the object lies beyond one side of its image."""
    centre, axis = np.array(camera.centre), random.integers(2)
    centre[axis] += random.choice((-1, 1)) * random.uniform(0.25, 0.5)
    return replace(camera, centre=tuple(centre))


def warped(reference: Reference, random: np.random.Generator, most: float = 0.04) -> Reference:
    """The picture drawn by somebody whose eye is a little off: displaced smoothly, by ``most`` of its width
    at the most."""
    height, width = reference.alpha.shape
    coarse = random.normal(size=(6, 6, 2)).astype(np.float32)
    flow = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    flow *= random.uniform(0.25, 1) * most * width / np.linalg.norm(flow, axis=2).max()
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32) + flow
    color, alpha = (
        cv2.remap(image, grid, None, cv2.INTER_LINEAR) for image in (reference.color, reference.alpha)
    )
    return Reference(color, alpha)


def barred(reference: Reference, random: np.random.Generator) -> Reference:
    """The picture with a straight bar of background across it, 5 to 20 % of its width wide."""
    height, width = reference.alpha.shape
    y, x = np.mgrid[0:height, 0:width]
    turn, place = random.uniform(0, np.pi), random.uniform(-0.2, 0.2, 2)
    way = np.cos(turn) * (x / width - 0.5 - place[0]) + np.sin(turn) * (y / height - 0.5 - place[1])
    return reference.with_alpha(
        np.where(np.abs(way) < random.uniform(0.025, 0.1), 0, reference.alpha).astype(np.float32)
    )
