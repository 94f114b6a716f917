"""Images that do not quite show the mesh, or not all of it, or another thing: what a view search should doubt
when it fails on them."""

from dataclasses import replace

import cv2
import numpy as np

from backend.paint.reference import Reference
from backend.render.camera import Camera
from backend.render.rasterize import rasterize

from .scenes import Scene

KINDS = ("whole", "warped", "resembling", "barred", "cropped", "small", "other")
"""``whole`` images are not degraded. In ``warped`` ones everything is displaced smoothly, by 1 to 4 % of the
image at most; ``resembling`` ones are of the mesh made up to 12 % longer or shorter along each axis and bent;
a bar hides a part of the ``barred`` object; a side of the image cuts off the ``cropped`` one; ``small`` ones
have 64 pixels; ``other`` ones are of another mesh."""

SMALL_SIZE = 64
"""Pixels along the sides of small images."""

MAX_WARP = 0.04
"""Largest displacement of warped images, as a fraction of their width."""


def degrade(
    kind: str, scene: Scene, camera: Camera, random: np.random.Generator, other: Scene
) -> tuple[Reference, Camera]:
    """An image of one kind, and the camera under which the mesh itself would be seen like that; for ``other``
    the camera that saw the other mesh."""
    if kind == "resembling":
        shape = scene.surface
        vertices = deform_vertices(shape.vertices, random)
        scene = replace(scene, surface=replace(shape, vertices=vertices))
        return render_reference(scene, camera), fit_framing(camera, shape.vertices, vertices)
    if kind == "cropped":
        camera = turn_aside(camera, random)
    if kind == "small":
        camera = replace(camera, width=SMALL_SIZE, height=SMALL_SIZE)
    reference = render_reference(other if kind == "other" else scene, camera)
    if kind == "warped":
        reference = warp_smoothly(reference, random)
    if kind == "barred":
        reference = hide_behind_bar(reference, random)
    return reference, camera


def render_reference(scene: Scene, camera: Camera, samples: int = 3) -> Reference:
    """The mesh as the camera sees it, straight alpha."""
    fine = replace(camera, width=samples * camera.width, height=samples * camera.height)
    mask = rasterize(scene.surface.vertices, scene.surface.faces, fine).mask
    alpha = mask.reshape(camera.height, samples, camera.width, samples).mean(axis=(1, 3), dtype=np.float32)
    color = scene.photograph(camera, samples) / np.maximum(alpha, 1e-6)[..., None] / 255
    return Reference(np.clip(color, 0, 1).astype(np.float32), alpha)


def deform_vertices(vertices: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(V, 3) float32: vertices made longer or shorter along each axis, and bent."""
    bend = vertices[:, 2:] ** 2 * [*random.uniform(-0.25, 0.25, 2), 0]
    return (vertices * random.uniform(0.88, 1.12, 3) + bend).astype(np.float32)


def fit_framing(camera: Camera, vertices: np.ndarray, others: np.ndarray) -> Camera:
    """The camera with the focal length and image centre under which vertices (V, 3) appear nearest to where
    the given camera shows others (V, 3)."""
    own, target = (camera.project(points.astype(np.float64))[0] for points in (vertices, others))
    own_mean, target_mean = own.mean(axis=0), target.mean(axis=0)
    scale = ((own - own_mean) * (target - target_mean)).sum() / ((own - own_mean) ** 2).sum()
    shape = np.array([camera.width, camera.height])
    centre = (scale * (np.array(camera.centre) * shape - own_mean) + target_mean) / shape
    return replace(camera, focal=scale * camera.focal, centre=tuple(centre))


def turn_aside(camera: Camera, random: np.random.Generator) -> Camera:
    """The camera turned until a part of the object is beyond one side of its image."""
    centre, axis = np.array(camera.centre), random.integers(2)
    centre[axis] += random.choice((-1, 1)) * random.uniform(0.25, 0.5)
    return replace(camera, centre=tuple(centre))


def warp_smoothly(
    reference: Reference, random: np.random.Generator, max_displacement: float = MAX_WARP
) -> Reference:
    """The image as drawn by somebody whose proportions are a little off: displaced smoothly, by at most this
    fraction of its width."""
    height, width = reference.alpha.shape
    coarse = random.normal(size=(6, 6, 2)).astype(np.float32)
    flow = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    flow *= random.uniform(0.25, 1) * max_displacement * width / np.linalg.norm(flow, axis=2).max()
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32) + flow
    color, alpha = (
        cv2.remap(image, grid, None, cv2.INTER_LINEAR) for image in (reference.color, reference.alpha)
    )
    return Reference(color, alpha)


def hide_behind_bar(reference: Reference, random: np.random.Generator) -> Reference:
    """The image with a straight bar of background across it, 5 to 20 % of its width wide."""
    height, width = reference.alpha.shape
    y, x = np.mgrid[0:height, 0:width]
    angle, centre = random.uniform(0, np.pi), random.uniform(-0.2, 0.2, 2)
    distance = np.cos(angle) * (x / width - 0.5 - centre[0]) + np.sin(angle) * (y / height - 0.5 - centre[1])
    hidden = np.abs(distance) < random.uniform(0.025, 0.1)
    return reference.with_alpha(np.where(hidden, 0, reference.alpha).astype(np.float32))
