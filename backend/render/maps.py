"""G-buffers as 8-bit images, encoded as OrbitPainter was trained to read them (specs: orbitpainter b.5)."""

import numpy as np

from ..mesh.surface import Surface
from .rasterize import GBuffer, normals, positions


def position_image(buffer: GBuffer) -> np.ndarray:
    """(H, W, 3) uint8: normalised position + 0.5, cut to 8 bits; the background is the origin, grey 127."""
    return (np.clip(positions(buffer) + np.float32(0.5), 0, 1) * 255).astype(np.uint8)


def normal_image(buffer: GBuffer, surface: Surface) -> np.ndarray:
    """(H, W, 3) uint8: world-space shading normal towards the viewer, (n + 1) / 2 as the high byte of 16
    bits; the background, without a normal, is grey 128."""
    share = np.clip((normals(buffer, surface) + 1) / 2, 0, 1)
    return ((share * 65535 + np.float32(0.5)).astype(np.uint16) >> 8).astype(np.uint8)
