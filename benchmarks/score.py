"""How close a textured surface comes to the truth, from cameras that no method saw."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt
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
"""Pixels per block, and how far a block may move, in steps of a sample, for the shift-tolerant figure."""


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
    rotations = [
        look_at_origin(azimuth, elevation)
        for azimuth, elevation in zip(k * 137.508 + 7, elevations, strict=True)
    ]
    return [
        Camera(rotation, 1.5 * rotation[:, 2], 35 / 32, width=size, height=size) for rotation in rotations
    ]


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
        return Score(
            _decibels(squares / (3 * pixels)),
            _decibels(shifted / (3 * pixels)),
            similarity / pixels,
            energy / true_energy,
        )

    def images(self, texture: np.ndarray) -> list[np.ndarray]:
        """Renderings (H, W, 3) uint8 of a texture, cut to the mesh."""
        return [
            np.clip(np.round(shot.render(texture.astype(np.float32))), 0, 255).astype(np.uint8)
            for shot in self.shots
        ]


class _Shot:
    """One held-out view, cut to the part of the image that shows the mesh."""

    def __init__(self, scene: Scene, camera: Camera):
        fine = Camera(
            camera.rotation,
            camera.position,
            camera.focal,
            camera.centre,
            SAMPLES * camera.width,
            SAMPLES * camera.height,
        )
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
        return _averaged(self._fine(texture), SAMPLES)

    def _fine(self, texture: np.ndarray) -> np.ndarray:
        size = texture.shape[0]
        image = np.zeros((*self.seen.shape, 3), np.float32)
        image[self.seen] = bilinear(
            texture, np.column_stack([self.uvs[:, 0] * size, (1 - self.uvs[:, 1]) * size])
        )
        return image

    def compare(self, texture: np.ndarray) -> tuple[float, ...]:
        fine, mask = self._fine(texture), self.mask
        image = _averaged(fine, SAMPLES)
        squares = np.square(image - self.truth)[mask].sum()
        _, local = structural_similarity(image, self.truth, channel_axis=2, data_range=255, full=True)
        shifted = _shifted_squares(_continued(fine, self.seen), self.truth, mask)
        return (
            squares,
            shifted,
            local.mean(axis=2)[mask].sum(),
            _gradient_energy(image, self.inner),
            _gradient_energy(self.truth, self.inner),
            mask.sum(),
        )


def seam_energy(surface: Surface, texture: np.ndarray) -> float:
    """Mean difference, 0..255, between the two sides of UV seams in a texture (S, S, 3), read bilinearly."""
    places = seam_places(surface.faces, surface.corner_uvs, len(texture))
    one, other = (
        np.einsum("nt,ntc->nc", weights, texture.reshape(-1, 3)[texels]) for texels, weights in places
    )
    return float(np.abs(one - other).mean()) if len(one) else 0.0


def _decibels(mean_square: float) -> float:
    return float(10 * np.log10(255**2 / max(mean_square, 1e-9)))


def _gradient_energy(image: np.ndarray, mask: np.ndarray) -> float:
    across, down = cv2.Sobel(image, cv2.CV_32F, 1, 0, ksize=3), cv2.Sobel(image, cv2.CV_32F, 0, 1, ksize=3)
    return float(np.sqrt(across**2 + down**2)[mask].sum())


def _continued(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image with the mask's nearest pixel everywhere outside: what a block at the rim moves in is
    surface, not background."""
    rows, columns = distance_transform_edt(~mask, return_distances=False, return_indices=True)
    return image[rows, columns]


def _shifted_squares(fine: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Sum of squared differences where every block of the truth takes the shift of the finely sampled image
    that suits it best."""
    height, width = mask.shape
    rows, columns = np.arange(0, height, BLOCK), np.arange(0, width, BLOCK)
    best, reach = np.full((len(rows), len(columns)), np.inf), SAMPLES * REACH
    padded = np.pad(fine, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    for phase in np.ndindex(SAMPLES, SAMPLES):
        image = _averaged(
            padded[tuple(slice(start, start - SAMPLES if start else None) for start in phase)], SAMPLES
        )
        for y in range(image.shape[0] - height + 1):
            for x in range(image.shape[1] - width + 1):
                squares = (
                    cv2.transform(np.square(image[y : y + height, x : x + width] - truth), np.ones((1, 3)))
                    * mask
                )
                best = np.minimum(
                    best, np.add.reduceat(np.add.reduceat(squares, rows, axis=0), columns, axis=1)
                )
    return float(best.sum())


def _averaged(image: np.ndarray, samples: int) -> np.ndarray:
    height, width, channels = image.shape
    return image.reshape(height // samples, samples, width // samples, samples, channels).mean(axis=(1, 3))
