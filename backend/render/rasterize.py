"""A z-buffer in numba: which triangle each pixel of a view sees, and where on it. ``benchmarks/render.py``
measures it against Embree."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numba import njit

from ..mesh.surface import Surface
from ..parallel import iterate_parallel
from .camera import Camera
from .draw import Canvas, draw_triangles, project_mesh

# Plain numbers would make float64 of a kernel's float32.
_ONE = np.float32(1)
_TINY = np.float32(1e-30)


@dataclass(frozen=True)
class GBuffer:
    """What one view sees of a surface.

    Attributes:
        camera: the view.
        face: (H, W) int32, -1 for background.
        barycentric: (H, W, 2) float32, weights of the face's first two corners; 0 for background.
        depth: (H, W) float32 along the view axis, infinite for background.
        front: (H, W) bool, whether the face shows the side on which its corners run counter-clockwise.
    """

    camera: Camera
    face: np.ndarray
    barycentric: np.ndarray
    depth: np.ndarray
    front: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """(H, W) bool: pixels on the surface."""
        return self.face >= 0


def render(
    surface: Surface, cameras: Iterable[Camera], progress: Callable[[float], None] = lambda fraction: None
) -> list[GBuffer]:
    """The G-buffer of every camera, drawn on all cores."""
    cameras = list(cameras)
    buffers = []
    for buffer in iterate_parallel(
        lambda camera: rasterize(surface.vertices, surface.faces, camera), cameras
    ):
        buffers.append(buffer)
        progress(len(buffers) / len(cameras))
    return buffers


def rasterize(vertices: np.ndarray, faces: np.ndarray, camera: Camera) -> GBuffer:
    """The G-buffer of triangles (F, 3) over vertices (V, 3); both sides of a triangle are seen."""
    shape = camera.height, camera.width
    face = np.full(shape, -1, np.int32)
    barycentric = np.zeros((*shape, 2), np.float32)
    front = np.zeros(shape, bool)
    nearness = np.full(shape, -np.inf if camera.orthographic else 0, np.float32)
    draw_triangles(
        project_mesh(vertices, faces, camera),
        Canvas(
            camera.width, camera.height, face.ravel(), barycentric.ravel(), nearness.ravel(), front.ravel()
        ),
    )
    # Nearness becomes depth in place: it is -depth, or 1 / depth.
    with np.errstate(divide="ignore"):
        depth = (
            np.negative(nearness, out=nearness)
            if camera.orthographic
            else np.reciprocal(nearness, out=nearness)
        )
    return GBuffer(camera, face, barycentric, depth, front)


def visible_points(buffer: GBuffer) -> np.ndarray:
    """(N, 3) float32 point of the surface under each pixel of the mask, row by row."""
    return positions(buffer)[buffer.mask]


def points_under(buffer: GBuffer, pixels: np.ndarray) -> np.ndarray:
    """(N, 3) float64 points of the surface under the centres of some pixels of the mask (N, 2) int, column
    and row."""
    depth = buffer.depth[pixels[:, 1], pixels[:, 0]].astype(np.float64)
    return buffer.camera.unproject(pixels + 0.5, depth)


def positions(buffer: GBuffer) -> np.ndarray:
    """(H, W, 3) float32 points on the surface under the pixels' centres, 0 on the background."""
    image = np.zeros((*buffer.face.shape, 3), np.float32)
    _positions(buffer.depth, buffer.camera.pack(), image)
    return image


def normals(buffer: GBuffer, surface: Surface) -> np.ndarray:
    """(H, W, 3) float32 unit shading normals, 0 on the background.

    They are flipped where the triangle shows its back, as Cycles flips them; a shading normal that bends away
    from the viewer at the rim of a smooth shape is kept.
    """
    image = np.zeros((*buffer.face.shape, 3), np.float32)
    _normals(buffer.face, buffer.barycentric, buffer.front, surface.corner_normals.ravel(), image)
    return image


@njit(cache=True, nogil=True, error_model="numpy")
def _positions(depth, camera, image):
    """The points from the camera, along each pixel's ray."""
    focal, centre_x, centre_y, orthographic = camera[12], camera[13], camera[14], camera[17] > 0
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            away = np.float64(depth[row, column])
            if away < np.inf:
                scale = 1 / focal if orthographic else away / focal
                right, up = (column + 0.5 - centre_x) * scale, (centre_y - row - 0.5) * scale
                image[row, column, 0] = camera[9] + right * camera[0] + up * camera[1] - away * camera[2]
                image[row, column, 1] = camera[10] + right * camera[3] + up * camera[4] - away * camera[5]
                image[row, column, 2] = camera[11] + right * camera[6] + up * camera[7] - away * camera[8]


@njit(cache=True, nogil=True, error_model="numpy")
def _normals(face, barycentric, front, corner_normals, image):
    """Writes normals row by row. The sum that is returned is of no use, but keeps the compiler from leaving
    the prefetching out."""
    touched = np.float32(0)
    for row in range(face.shape[0]):
        touched += _prefetch_normals(face[row], corner_normals)
        _interpolate(face[row], barycentric[row].ravel(), corner_normals, image[row].ravel())
        _orient_normals(front[row], image[row].ravel())
    return touched


@njit(cache=True, nogil=True)
def _prefetch_normals(face, corner_normals):
    """Reads both ends of the faces' normals. Those of a fine mesh lie all over the memory: requested
    together, they arrive together."""
    total = np.float32(0)
    for k in range(face.shape[0]):
        f = np.uint32(max(face[k], 0))
        total += corner_normals[9 * f] + corner_normals[9 * f + 8]
    return total


@njit(cache=True, nogil=True)
def _interpolate(face, barycentric, corner_normals, image):
    """Writes the barycentric means of a row's corner normals."""
    for k in range(face.shape[0]):
        if face[k] >= 0:
            f = np.uint32(face[k])
            u, v = barycentric[2 * k], barycentric[2 * k + 1]
            w = _ONE - u - v
            for axis in range(3):
                image[3 * k + axis] = (
                    u * corner_normals[9 * f + axis]
                    + v * corner_normals[9 * f + 3 + axis]
                    + w * corner_normals[9 * f + 6 + axis]
                )


@njit(cache=True, nogil=True, error_model="numpy")
def _orient_normals(front, image):
    """Scales normals to length 1 and flips those of backs."""
    for k in range(front.shape[0]):
        x, y, z = image[3 * k], image[3 * k + 1], image[3 * k + 2]
        scale = (_ONE if front[k] else -_ONE) / np.sqrt(max(x * x + y * y + z * z, _TINY))
        image[3 * k], image[3 * k + 1], image[3 * k + 2] = x * scale, y * scale, z * scale
