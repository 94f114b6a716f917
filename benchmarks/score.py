"""How close a textured surface comes to the truth, from cameras that no method saw."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from skimage.metrics import structural_similarity

from backend.bake.seams import seam_places
from backend.mesh.surface import Surface
from backend.render.camera import Camera, look_at_origin
from backend.render.rasterize import rasterize
from backend.render.sample import bilinear

from .scenes import Scene

SAMPLES = 2
"""Squared samples per pixel, for truth and result alike."""

BLOCK, REACH = 16, 4
"""Pixels per block, and how far a block may move, for the shift-tolerant figure."""


@dataclass(frozen=True)
class Score:
    """Means over all held-out views.

    Attributes:
        psnr: dB.
        shifted: dB when every block may move by a few pixels.
        ssim: 0..1.
        sharpness: gradient energy over the truth's.
    """

    psnr: float
    shifted: float
    ssim: float
    sharpness: float


def held_out(count: int = 24, size: int = 512) -> list[Camera]:
    """Cameras all around, evenly spread on the sphere, none of them on an orbit."""
    k = np.arange(count) + 0.5
    elevations = np.degrees(np.arcsin(1 - 2 * k / count))
    rotations = [look_at_origin(azimuth, elevation) for azimuth, elevation in zip(k * 137.508 + 7, elevations, strict=True)]
    return [Camera(rotation, 1.5 * rotation[:, 2], 35 / 32, width=size, height=size) for rotation in rotations]


class HeldOut:
    """Photographs of the truth, and what their pixels read of a texture.

    Args:
        scene: the truth.
        cameras: where it is photographed from.
    """

    def __init__(self, scene: Scene, cameras: list[Camera]):
        self.shots = [_Shot(scene, camera) for camera in cameras]

    def score(self, texture: np.ndarray) -> Score:
        """Compares renderings of a texture (S, S, 3), read bilinearly as Blender does, with the truth."""
        texture = texture.astype(np.float32)
        with ThreadPoolExecutor() as pool:
            sums = np.sum(list(pool.map(lambda shot: shot.compare(texture), self.shots)), axis=0)
        squares, shifted, similarity, energy, true_energy, pixels = sums
        return Score(_decibels(squares / (3 * pixels)), _decibels(shifted / (3 * pixels)), similarity / pixels, energy / true_energy)

    def images(self, texture: np.ndarray) -> list[np.ndarray]:
        """Renderings (H, W, 3) uint8 of a texture, cut to the mesh."""
        return [np.clip(np.round(shot.render(texture.astype(np.float32))), 0, 255).astype(np.uint8) for shot in self.shots]


class _Shot:
    """One held-out view, cut to the part of the image that shows the mesh."""

    def __init__(self, scene: Scene, camera: Camera):
        fine = Camera(camera.rotation, camera.position, camera.focal, camera.centre, SAMPLES * camera.width, SAMPLES * camera.height)
        buffer = rasterize(scene.surface.vertices, scene.surface.faces, fine)
        blocks = (camera.height, SAMPLES, camera.width, SAMPLES)
        rows, columns = np.nonzero(buffer.mask.reshape(blocks).any(axis=(1, 3)))
        self.box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
        outer = tuple(slice(SAMPLES * part.start, SAMPLES * part.stop) for part in self.box)
        seen = buffer.mask[outer]
        self.shape = (seen.shape[0] // SAMPLES, SAMPLES, seen.shape[1] // SAMPLES, SAMPLES)
        self.seen, self.mask = seen, seen.reshape(self.shape).all(axis=(1, 3))
        self.inner = cv2.erode(self.mask.astype(np.uint8), np.ones((3, 3))) > 0
        weights = buffer.barycentric[outer][seen]
        weights = np.column_stack([weights, 1 - weights.sum(axis=1)])
        self.uvs = np.einsum("nc,ncx->nx", weights, scene.surface.corner_uvs[buffer.face[outer][seen]])
        self.truth = scene.photograph(camera, SAMPLES)[self.box]

    def render(self, texture: np.ndarray) -> np.ndarray:
        size = texture.shape[0]
        image = np.zeros((*self.seen.shape, 3), np.float32)
        image[self.seen] = bilinear(texture, np.column_stack([self.uvs[:, 0] * size, (1 - self.uvs[:, 1]) * size]))
        return image.reshape(*self.shape, 3).mean(axis=(1, 3))

    def compare(self, texture: np.ndarray) -> tuple[float, ...]:
        image, mask = self.render(texture), self.mask
        squares = np.square(image - self.truth)[mask].sum()
        _, local = structural_similarity(image, self.truth, channel_axis=2, data_range=255, full=True)
        return (squares, _shifted_squares(image, self.truth, mask), local.mean(axis=2)[mask].sum(), _gradient_energy(image, self.inner),
                _gradient_energy(self.truth, self.inner), mask.sum())


def seam_energy(surface: Surface, texture: np.ndarray) -> float:
    """Mean difference, 0..255, between the two sides of UV seams in a texture (S, S, 3), read bilinearly."""
    places = seam_places(surface.faces, surface.corner_uvs, len(texture))
    one, other = (np.einsum("nt,ntc->nc", weights, texture.reshape(-1, 3)[texels]) for texels, weights in places)
    return float(np.abs(one - other).mean()) if len(one) else 0.0


def _decibels(mean_square: float) -> float:
    return float(10 * np.log10(255**2 / max(mean_square, 1e-9)))


def _gradient_energy(image: np.ndarray, mask: np.ndarray) -> float:
    across, down = cv2.Sobel(image, cv2.CV_32F, 1, 0, ksize=3), cv2.Sobel(image, cv2.CV_32F, 0, 1, ksize=3)
    return float(np.sqrt(across**2 + down**2)[mask].sum())


def _shifted_squares(image: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Sum of squared differences where every block of the truth takes the shift of the image that suits it best."""
    spare = [(0, -side % BLOCK) for side in mask.shape]
    mask, image, truth = np.pad(mask, spare), np.pad(image, [*spare, (0, 0)]), np.pad(truth, [*spare, (0, 0)])
    height, width = mask.shape
    rows, columns = height // BLOCK, width // BLOCK
    best = np.full((rows, columns), np.inf)
    padded = np.pad(image, ((REACH, REACH), (REACH, REACH), (0, 0)))
    for y in range(2 * REACH + 1):
        for x in range(2 * REACH + 1):
            squares = np.where(mask, np.square(padded[y:y + height, x:x + width] - truth).sum(axis=2), 0)
            best = np.minimum(best, squares.reshape(rows, BLOCK, columns, BLOCK).sum(axis=(1, 3)))
    return float(best.sum())
