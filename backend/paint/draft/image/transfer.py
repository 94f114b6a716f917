"""Radiance transfer: how much of the light from each of many directions a point of the surface receives
(precomputed radiance transfer, Sloan et al. 2002).

Lamps at infinity stand all around the surface, those below the horizon too: they are what a floor reflects.
A lamp reaches a point as far as an orthographic depth map sees the point, bilinearly between its texels, so
that the edges of shadows are not jagged. What a lamp would give if the surface did not stand in its way is
summed up as one more column: about as much as that the surface itself reflects there.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from ....mesh.surface import Surface
from ....parallel import map_parallel, map_ranges
from ....render.occlusion import sky_cameras
from ....render.rasterize import rasterize
from ....render.visibility import MAX_SLOPE, SLOPE_PIXELS
from .gloss import Gloss, add_gloss


@dataclass(frozen=True)
class TransferConfig:
    """How finely light from all around is sampled."""

    # Directions from which light comes.
    lamps: int = 128
    # Texels along the sides of each direction's depth map.
    map_size: int = 256
    # Points that one thread works on at once.
    chunk: int = 1 << 11


@dataclass(frozen=True)
class RadianceTransfer:
    """What of a surface each of K lamps reaches.

    Attributes:
        directions: (K, 3) float32 unit vectors towards the lamps.
        cameras: (K, 20) float64, their orthographic views, packed.
        depths: (K, S, S) float32 depth maps.
        chunk: points that one thread works on at once.
    """

    directions: np.ndarray
    cameras: np.ndarray
    depths: np.ndarray
    chunk: int

    @staticmethod
    def measure(surface: Surface, config: TransferConfig = TransferConfig()) -> "RadianceTransfer":
        """Renders the depth maps of a surface."""
        cameras = sky_cameras(surface, config.lamps, config.map_size)
        depths = map_parallel(
            lambda camera: rasterize(surface.vertices, surface.faces, camera).depth, cameras
        )
        return RadianceTransfer(
            np.stack([camera.rotation[:, 2] for camera in cameras]).astype(np.float32),
            np.stack([camera.pack() for camera in cameras]),
            np.stack(depths),
            config.chunk,
        )

    def columns(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """(N, K + 1) float32: the light that points (N, 3) with unit normals (N, 3) receive from each lamp of
        radiance 1, and in the last column what the surface keeps from them; a point that sees half of all
        lamps receives 1 in total."""
        result = np.empty((len(points), len(self.directions) + 1), np.float32)
        _columns(points, normals, self.directions, self.cameras, self.depths, result)
        return result

    def light(
        self,
        points: np.ndarray,
        normals: np.ndarray,
        towards: np.ndarray,
        radiance: np.ndarray,
        gloss: Gloss | None = None,
    ) -> np.ndarray:
        """(N, C) float32: what paint of reflectance 1 at points (N, 3) with unit normals (N, 3) sends along
        unit vectors ``towards`` (N, 3) the viewer, under lamps of radiance (K + 1, C) float32."""

        def shine(first: int, end: int) -> np.ndarray:
            part = slice(first, end)
            columns = self.columns(points[part], normals[part])
            return add_gloss(columns, normals[part], towards[part], self.directions, gloss) @ radiance

        chunks = map_ranges(shine, len(points), self.chunk)
        return np.concatenate(chunks) if chunks else np.zeros((0, radiance.shape[1]), np.float32)


@njit(cache=True, nogil=True, error_model="numpy")
def _columns(points, normals, directions, cameras, depths, result):
    """Writes the columns of points to ``result`` (N, K + 1), lamp by lamp: one depth map stays in the
    cache."""
    count, size = directions.shape[0], depths.shape[1]
    share = np.float32(4 / count)
    for n in range(points.shape[0]):
        result[n, count] = 0
    for k in range(count):
        camera, depth = cameras[k], depths[k]
        x_axis, y_axis, z_axis = directions[k, 0], directions[k, 1], directions[k, 2]
        scale = camera[12]
        for n in range(points.shape[0]):
            cosine = normals[n, 0] * x_axis + normals[n, 1] * y_axis + normals[n, 2] * z_axis
            if cosine <= 0:
                result[n, k] = 0
                continue
            dx, dy, dz = points[n, 0] - camera[9], points[n, 1] - camera[10], points[n, 2] - camera[11]
            x = (dx * camera[0] + dy * camera[3] + dz * camera[6]) * scale + camera[13] - 0.5
            y = camera[14] - (dx * camera[1] + dy * camera[4] + dz * camera[7]) * scale - 0.5
            slope = min(np.sqrt(max(1 - cosine * cosine, 0.0)) / cosine, MAX_SLOPE)
            z = -(dx * camera[2] + dy * camera[5] + dz * camera[8]) - (1 + SLOPE_PIXELS * slope) / scale
            x = min(max(x, 0.0), size - 1.001)
            y = min(max(y, 0.0), size - 1.001)
            column, row = int(x), int(y)
            right, down = x - column, y - row
            open_share = 0.0
            if z <= depth[row, column]:
                open_share += (1 - right) * (1 - down)
            if z <= depth[row, column + 1]:
                open_share += right * (1 - down)
            if z <= depth[row + 1, column]:
                open_share += (1 - right) * down
            if z <= depth[row + 1, column + 1]:
                open_share += right * down
            result[n, k] = share * cosine * open_share
            result[n, count] += share * cosine * (1 - open_share)
