"""Silhouettes of a mesh from a sphere of directions: contour points with normals, and spans of rows."""

from dataclasses import dataclass

import cv2
import numpy as np

from ....api.errors import InvalidImage
from ....mesh.surface import Surface
from ....parallel import map_parallel
from ....render.camera import Camera, look_at_origin
from ....render.rasterize import rasterize

TEMPLATE_SIZE = 128
"""Pixels along each side of a rendered template."""

CONTOUR_POINTS = 64
"""Points of a template's contour, holes included."""

ORIENTATIONS = 8
"""Channels of edge directions, over half a turn."""

TEMPLATE_DISTANCE = 2.6
"""Longest sides of the mesh between its centre and the camera of a template."""

SPACING = 10.0
"""Degrees between neighbouring directions."""

ELEVATIONS = (-25.0, 75.0)
"""Degrees: the lowest and the highest row of directions."""


@dataclass(frozen=True)
class Templates:
    """Silhouettes, each scaled so that its box has 1 as the root of its area, around the box's middle.

    Attributes:
        azimuth, elevation: (T,) float64 degrees.
        zoom: (T,) float64: what a unit of the mesh at its centre measures in such a template.
        centre: (T, 2) float64: where the mesh's centre lies in it, right and down.
        contour: (T, P, 2) float32: points of the contour, right and down.
        channel: (T, P) int32: channel of the direction of the contour's normal there.
        mask: (T, S, S) bool as rendered; ``box`` (T, 4) float64 is its left, top, right, bottom in pixels.
    """

    azimuth: np.ndarray
    elevation: np.ndarray
    zoom: np.ndarray
    centre: np.ndarray
    contour: np.ndarray
    channel: np.ndarray
    mask: np.ndarray
    box: np.ndarray

    def __len__(self) -> int:
        return len(self.azimuth)


def sphere_of_directions() -> list[tuple[float, float]]:
    """Azimuth and elevation in degrees, about SPACING apart."""
    low, high = ELEVATIONS
    rows = np.arange(low, high + 1, SPACING)
    return [
        (float(azimuth), float(elevation))
        for elevation in rows
        for azimuth in np.arange(
            -180, 180, 360 / max(1, round(360 / SPACING * np.cos(np.radians(elevation))))
        )
    ]


def render_templates(surface: Surface, directions: list[tuple[float, float]]) -> Templates:
    """The templates of a mesh whose centre is the origin and whose longest side is 1, but for directions from
    which nothing of it shows, as of a plane from its edge.

    Raises:
        InvalidImage: nothing shows from any of them.
    """
    reach = float(np.linalg.norm(surface.vertices, axis=1).max())
    focal = 0.47 * np.sqrt(TEMPLATE_DISTANCE**2 - reach**2) / reach

    def render_one(direction: tuple[float, float]) -> np.ndarray:
        rotation = look_at_origin(*direction)
        camera = Camera(
            rotation, TEMPLATE_DISTANCE * rotation[:, 2], focal, width=TEMPLATE_SIZE, height=TEMPLATE_SIZE
        )
        return rasterize(surface.vertices, surface.faces, camera).mask

    rendered = zip(directions, map_parallel(render_one, directions), strict=True)
    shown = [(direction, mask) for direction, mask in rendered if mask.any()]
    if not shown:
        raise InvalidImage(
            "From the side given nothing of the mesh is seen: it is flat and seen from its edge, or too "
            "thin. Set Side Shown to Automatic, or give another azimuth and elevation."
        )
    boxes, points, channels = zip(*(extract_contour(mask) for _, mask in shown), strict=True)
    box = np.array(boxes)
    size = np.sqrt((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]))
    middle = (box[:, :2] + box[:, 2:]) / 2
    return Templates(
        azimuth=np.array([azimuth for (azimuth, _), _ in shown]),
        elevation=np.array([elevation for (_, elevation), _ in shown]),
        zoom=focal * TEMPLATE_SIZE / TEMPLATE_DISTANCE / size,
        centre=(TEMPLATE_SIZE / 2 - middle) / size[:, None],
        contour=((np.stack(points) - middle[:, None]) / size[:, None, None]).astype(np.float32),
        channel=np.stack(channels),
        mask=np.stack([mask for _, mask in shown]),
        box=box,
    )


def extract_contour(mask: np.ndarray) -> tuple:
    """The box (4,) of a mask (S, S) bool, and CONTOUR_POINTS points (P, 2) in pixels with their channels
    (P,)."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.2)
    right, down = cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)
    lines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    pixels = np.concatenate([line[:, 0] for line in lines])
    chosen = pixels[np.linspace(0, len(pixels), CONTOUR_POINTS, endpoint=False).astype(int)]
    gradient = np.stack([right, down], axis=2)[chosen[:, 1], chosen[:, 0]]
    return box, chosen + 0.5, orientation_channels(gradient)


def orientation_channels(normal: np.ndarray) -> np.ndarray:
    """(N,) int32: the channels of normals (N, 2) of any length, right and down."""
    angle = np.arctan2(normal[:, 1], normal[:, 0])
    return np.round(angle / np.pi * ORIENTATIONS).astype(np.int32) % ORIENTATIONS
