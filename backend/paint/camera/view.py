"""The camera of the reference as seven numbers that an optimizer may change."""

from dataclasses import dataclass

import numpy as np

from ...render.camera import Camera, look_at_origin

Direction = tuple[float, float]
"""Azimuth and elevation in degrees."""

AZIMUTH, ELEVATION, ROLL, DISTANCE, ZOOM, X, Y = range(7)
"""Where the parameters of a view stand in :meth:`View.parameters`."""


@dataclass(frozen=True)
class View:
    """A camera as seven numbers that least squares may change.

    Attributes:
        azimuth, elevation, roll: degrees.
        distance: from the origin, in longest sides of the mesh.
        zoom: image widths that one unit at the origin covers.
        x, y: where the origin appears, as fractions of the image's width and height.
    """

    azimuth: float
    elevation: float
    roll: float
    distance: float
    zoom: float
    x: float
    y: float

    def camera(self, width: int, height: int) -> Camera:
        """The view as the camera of an image of this size."""
        rotation = look_at_origin(self.azimuth, self.elevation, self.roll)
        position, focal = self.distance * rotation[:, 2], self.zoom * self.distance
        return Camera(rotation, position, focal, (self.x, self.y), width, height)

    def parameters(self) -> np.ndarray:
        """(7,) float64: azimuth, elevation, roll, the logarithms of distance and zoom, x, y."""
        logarithms = np.log(self.distance), np.log(self.zoom)
        return np.array([self.azimuth, self.elevation, self.roll, *logarithms, self.x, self.y])

    def project_jacobian(self, points: np.ndarray, width: int, height: int) -> np.ndarray:
        """(N, 2, 7) float64: by how many pixels, right and down, points (N, 3) move in an image of this size
        per unit of each of :meth:`parameters`."""
        camera = self.camera(width, height)
        local = points @ camera.rotation
        depth = (self.distance - local[:, 2])[:, None]
        scale = camera.focal * width / depth
        flip = np.array([1.0, -1.0])
        # Turning the camera around an axis turns the points the other way.
        roll = np.radians(self.roll)
        axes = camera.rotation[2], np.array([-np.cos(roll), np.sin(roll), 0.0]), np.array([0.0, 0.0, 1.0])
        result = np.zeros((len(points), 2, 7))
        for parameter, axis in zip((AZIMUTH, ELEVATION, ROLL), axes, strict=True):
            x, y, z = axis
            moved = np.radians(local @ np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]))
            result[..., parameter] = scale * flip * (moved[:, :2] + local[:, :2] * moved[:, 2:] / depth)
        # The image grows with the focal length, which grows with distance and zoom, and shrinks with depth.
        result[..., ZOOM] = scale * flip * local[:, :2]
        result[..., DISTANCE] = result[..., ZOOM] * (1 - self.distance / depth)
        result[:, 0, X], result[:, 1, Y] = width, height
        return result

    @staticmethod
    def from_parameters(parameters: np.ndarray) -> "View":
        """The view of :meth:`parameters`, with distance limited to 0.9..30 and elevation to the poles."""
        azimuth, elevation, roll, log_distance, log_zoom, x, y = map(float, parameters)
        return View(
            azimuth=azimuth,
            elevation=min(max(elevation, -90), 90),
            roll=roll,
            distance=min(max(float(np.exp(log_distance)), 0.9), 30),
            zoom=float(np.exp(log_zoom)),
            x=x,
            y=y,
        )


def angle_between(azimuth: float, elevation: float, view: View) -> float:
    """Degrees between a direction and a view's."""
    return degrees_between((azimuth, elevation), (view.azimuth, view.elevation))


def degrees_between(one: Direction, other: Direction) -> float:
    """Degrees between two directions."""
    cosine = look_at_origin(*one)[:, 2] @ look_at_origin(*other)[:, 2]
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
