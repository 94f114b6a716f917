"""Removes light from the reference: the changes of brightness that follow the surface's orientation.

Retinex on normals: between near places the logarithm of brightness changes by light as far as the normals
differ, and by paint, which is constant over wide areas and changes at once at their borders. So the light,
spherical harmonics of the second order (Ramamoorthi and Hanrahan 2001), is fitted to differences between
neighbours by least absolute deviations, to which borders of paint are outliers.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ....image import resize_longest
from ....mesh.surface import Surface
from ....render.camera import Camera
from ....render.rasterize import normals, rasterize
from ...reference import Reference


@dataclass(frozen=True)
class ShadingConfig:
    """How light is fitted, and how much of it may be removed."""

    # Pixels along the longer side at which light is fitted.
    size: int = 192
    # Pixels between the neighbours that are compared.
    neighbour_distance: int = 3
    # Weight of the regularisation towards no light (ridge), relative to that of the differences.
    ridge: float = 1e-5
    # Rounds of iteratively reweighted least squares.
    rounds: int = 20
    # Fraction of the usual (median) difference of brightness that light has to explain to be removed.
    min_explained: float = 0.3
    # Largest factor by which a pixel is lightened or darkened.
    max_factor: float = 3.0


def remove_shading(
    reference: Reference,
    camera: Camera,
    surface: Surface,
    strength: float,
    config: ShadingConfig = ShadingConfig(),
) -> Reference:
    """The reference with its light divided out; the reference itself if the orientation explains hardly any
    of its brightness.

    Args:
        reference: the image.
        camera: its view of the mesh, at its resolution.
        surface: the mesh.
        strength: 0 changes nothing, 1 removes all the light that was found.
        config: of the fit.
    """
    if strength == 0:
        return reference
    # Fit the light on a small image.
    log_luma = np.log(np.maximum(reference.color @ np.float32([0.2126, 0.7152, 0.0722]), 0.02))
    log_luma, alpha = (resize_longest(image, config.size) for image in (log_luma, reference.alpha))
    small = replace(camera, width=alpha.shape[1], height=alpha.shape[0])
    buffer = rasterize(surface.vertices, surface.faces, small)
    shown = cv2.erode((buffer.mask & (alpha > 0.98)).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    light = fit_light(log_luma, spherical_harmonics(normals(buffer, surface)), shown, config)
    if light is None:
        return reference
    # Divide it out of the whole image; the median brightness stays.
    whole = rasterize(surface.vertices, surface.faces, camera)
    shade = spherical_harmonics(normals(whole, surface)) @ light
    shade = np.where(whole.mask, shade - np.median(shade[whole.mask]), 0)
    limit = np.log(config.max_factor)
    factor = np.exp(np.clip(-strength * shade, -limit, limit)).astype(np.float32)
    return replace(reference, color=np.clip(reference.color * factor[..., None], 0, 1))


def spherical_harmonics(normal: np.ndarray) -> np.ndarray:
    """(H, W, 8): the spherical harmonics of orders one and two of unit normals (H, W, 3), without their
    constant factors."""
    x, y, z = np.moveaxis(normal, -1, 0)
    return np.stack([x, y, z, x * y, y * z, x * z, x * x - y * y, 3 * z * z - 1], axis=-1)


def fit_light(
    log_luma: np.ndarray, basis: np.ndarray, shown: np.ndarray, config: ShadingConfig = ShadingConfig()
) -> np.ndarray | None:
    """(8,): what each harmonic adds to the logarithm of brightness; None if they explain too little of it.

    Args:
        log_luma: (H, W) float32, logarithm of brightness.
        basis: (H, W, 8), :func:`spherical_harmonics`.
        shown: (H, W) bool, the object.
        config: of the fit.
    """
    # Differences between neighbours, downwards and to the right, both of which show the object.
    distance = config.neighbour_distance
    luma_differences, basis_differences = [], []
    for axis in (0, 1):
        both = shown & np.roll(shown, distance, axis)
        both[(slice(None),) * axis + (slice(0, distance),)] = False
        luma_differences.append((log_luma - np.roll(log_luma, distance, axis))[both])
        basis_differences.append((basis - np.roll(basis, distance, axis))[both])
    observed = np.concatenate(luma_differences).astype(np.float64)
    predictors = np.concatenate(basis_differences).astype(np.float64)
    if len(observed) < 100:
        return None
    # Least absolute deviations, by iteratively reweighted least squares.
    light = np.zeros(predictors.shape[1])
    for _ in range(config.rounds):
        weight = 1 / np.maximum(np.abs(observed - predictors @ light), 2e-3)
        ridge = config.ridge * weight.sum() * np.eye(len(light))
        matrix = (predictors * weight[:, None]).T @ predictors + ridge
        light = np.linalg.solve(matrix, predictors.T @ (weight * observed))
    residual = np.median(np.abs(observed - predictors @ light))
    return light if residual < (1 - config.min_explained) * np.median(np.abs(observed)) else None
