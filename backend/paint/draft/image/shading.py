"""Light taken off the reference: what of its brightness follows the surface's orientation.

Retinex on normals: between places near each other the logarithm of brightness changes by light, as far as the
normals differ, and by paint, which is the same over wide parts and changes at once at their borders. So the
light, spherical harmonics of the second order (Ramamoorthi and Hanrahan 2001), is fitted to differences
between neighbours by least absolute values, to which borders of paint are outliers.
"""

from dataclasses import replace

import cv2
import numpy as np

from ....mesh.surface import Surface
from ....render.camera import Camera
from ....render.rasterize import normals, rasterize
from ...foreground import cut_out
from ...reference import Reference

WIDTH, APART = 192, 3
"""Longer side in pixels at which light is fitted, and pixels between neighbours."""

RIDGE = 1e-5
"""What a unit of light costs, in mean squares of weighted differences."""

EXPLAINED = 0.3
"""Part of the usual (median) difference of brightness that light has to explain to be believed."""

MOST = 3.0
"""Largest factor by which a place is lightened or darkened."""

ROUNDS = 20


def unlit(reference: Reference, camera: Camera, surface: Surface, strength: float) -> Reference:
    """The reference with a part of its light, 0..1, divided out; itself where orientation explains hardly
    anything.

    Args:
        reference: the picture.
        camera: its view of the mesh, at its resolution.
        surface: the mesh.
        strength: 0 leaves everything, 1 removes all that was found.
    """
    if strength == 0:
        return reference
    height, width = reference.alpha.shape
    scale = WIDTH / max(height, width)
    small = (max(8, round(width * scale)), max(8, round(height * scale)))
    cut = cut_out(reference)
    luma, alpha = (
        cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        for image in (
            np.log(np.maximum(reference.color @ np.float32([0.2126, 0.7152, 0.0722]), 0.02)),
            cut.alpha,
        )
    )
    buffer = rasterize(surface.vertices, surface.faces, replace(camera, width=small[0], height=small[1]))
    shown = cv2.erode((buffer.mask & (alpha > 0.98)).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    light = fit_light(luma, harmonics(normals(buffer, surface)), shown)
    if light is None:
        return reference
    whole = rasterize(surface.vertices, surface.faces, camera)
    shade = harmonics(normals(whole, surface)) @ light
    shade = np.where(whole.mask, shade - np.median(shade[whole.mask]), 0)
    factor = np.exp(np.clip(-strength * shade, -np.log(MOST), np.log(MOST))).astype(np.float32)
    return replace(reference, color=np.clip(reference.color * factor[..., None], 0, 1))


def harmonics(normal: np.ndarray) -> np.ndarray:
    """(H, W, 8): the spherical harmonics of orders one and two of unit normals (H, W, 3), without their
    factors."""
    x, y, z = np.moveaxis(normal, -1, 0)
    return np.stack([x, y, z, x * y, y * z, x * z, x * x - y * y, 3 * z * z - 1], axis=-1)


def fit_light(luma: np.ndarray, basis: np.ndarray, shown: np.ndarray) -> np.ndarray | None:
    """(8,) what each harmonic adds to the logarithm of brightness; None where they explain too little of it.

    Args:
        luma: (H, W) float32, logarithm of brightness.
        basis: (H, W, 8), :func:`harmonics`.
        shown: (H, W) bool, the object.
    """
    steps, bends = [], []
    for axis in (0, 1):
        both = shown & np.roll(shown, APART, axis)
        both[(slice(None),) * axis + (slice(0, APART),)] = False
        steps.append((luma - np.roll(luma, APART, axis))[both])
        bends.append((basis - np.roll(basis, APART, axis))[both])
    step, bend = np.concatenate(steps).astype(np.float64), np.concatenate(bends).astype(np.float64)
    if len(step) < 100:
        return None
    light = np.zeros(bend.shape[1])
    for _ in range(ROUNDS):
        weight = 1 / np.maximum(np.abs(step - bend @ light), 2e-3)
        matrix = (bend * weight[:, None]).T @ bend + RIDGE * weight.sum() * np.eye(len(light))
        light = np.linalg.solve(matrix, bend.T @ (weight * step))
    left = np.median(np.abs(step - bend @ light))
    return light if left < (1 - EXPLAINED) * np.median(np.abs(step)) else None
