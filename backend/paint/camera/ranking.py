"""Ranks the candidate views of the reference: how well each explains it, which is chosen, and how certain
that is."""

from dataclasses import dataclass, replace

import numpy as np

from ...mesh.surface import Surface
from ...render.camera import Camera, look_at_origin
from .feature_edges import FeatureEdges

MIN_CONFIDENCE = 0.5
"""Confidence below which the user is asked for the view."""

MAX_VIEW_DEGREES = 2.0
"""Degrees that a view may be turned from the true one above which the user is warned."""


@dataclass(frozen=True)
class RankingConfig:
    """When views are alike, and what decides between them.

    Errors are those of :class:`Match`: mean distances between outlines as fractions of the object's size.
    """

    # Difference in error that outlines of a few hundred pixels cannot show (a few hundredths of a pixel).
    error_floor: float = 0.0002
    # Views with up to this many times the least error are tied: feature edges and the prior decide.
    tie_factor: float = 1.2
    # Views with up to this many times the least error are rivals, which are refined at a higher resolution.
    rival_factor: float = 3.0
    # Degrees between the directions of two views up to which they are the same.
    same_direction: float = 8.0
    # Error at which even a single view is no better than a guess.
    bad_error: float = 0.03


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
            moved = np.radians(local @ np.cross(axis, np.eye(3)).T)
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


@dataclass(frozen=True)
class Match:
    """A view and how well the outlines agree under it.

    Attributes:
        view: the camera.
        overlap: intersection over union, 0..1.
        error: mean distance between the outlines, as a fraction of the object's size (the root of its area).
        confidence: 0..1 that no other view explains the image as well; 0 before :func:`choose_view`.
        degrees: by which the camera may be turned from the true one, because the outlines agree no better; 0
            if the user gave the direction.
    """

    view: View
    overlap: float
    error: float
    confidence: float = 0.0
    degrees: float = 0.0

    @property
    def confident(self) -> bool:
        """Whether the view may be used without asking the user."""
        return self.confidence >= MIN_CONFIDENCE and self.degrees <= MAX_VIEW_DEGREES


def describe_doubts(match: Match, given: bool) -> tuple[str, ...]:
    """Notes for the user about a view that may be wrong; ``given``: the user gave its direction."""
    if match.confident:
        return ()
    if given:
        return (
            "From the given View the mesh does not have the outline of the object in the reference. Check "
            "azimuth and elevation; if they are right, the object was not found as it is: give it a mask.",
        )
    if match.confidence >= MIN_CONFIDENCE:
        return (
            "The object in the reference does not quite have the mesh's outline: the camera that was found "
            f"may be off by {match.degrees:.0f}°. If the texture is displaced from the mesh's edges, set "
            "View to Pins and click the same points on both.",
        )
    side = f"azimuth {(match.view.azimuth + 180) % 360 - 180:.0f}°, elevation {match.view.elevation:.0f}°"
    return (
        f"Which side the reference shows is uncertain: {side} was chosen. If that is wrong, set View to "
        "Given (azimuth 0° is the front) and texture again. If no view is right, the reference shows another "
        "object than the mesh, or not all of it: use an image of the whole object, or give it a mask.",
    )


def distinct_views(matches: list[Match], config: RankingConfig = RankingConfig()) -> list[Match]:
    """Without the matches that look from about the same direction as one before them."""
    kept = []
    for match in matches:
        azimuth, elevation = match.view.azimuth, match.view.elevation
        if all(angle_between(azimuth, elevation, other.view) > config.same_direction for other in kept):
            kept.append(match)
    return kept


def choose_view(
    surface: Surface,
    matches: list[Match],
    edges: FeatureEdges | None,
    config: RankingConfig = RankingConfig(),
) -> Match:
    """The most likely match, with its confidence.

    Outlines decide where they differ, then feature edges, then what images usually show.
    """
    matches = sorted(matches, key=lambda match: match.error)
    tied = [
        match for match in matches if match.error < config.tie_factor * matches[0].error + config.error_floor
    ]
    z_score = {
        match: edges.alignment_z_score(surface, match.view.camera) if edges and len(matches) > 1 else 0.0
        for match in matches
    }

    def cost(match: Match) -> float:
        return 100 * view_prior_cost(match.view.azimuth, match.view.elevation) - z_score[match]

    best = min(tied, key=cost)
    doubt = max(
        (
            _rival_likelihood(best, rival, z_score[best] - z_score[rival], config)
            for rival in distinct_views([best, *matches], config)[1:]
        ),
        default=0.0,
    )
    return replace(best, confidence=(1 - doubt) / (1 + (best.error / config.bad_error) ** 2))


def _rival_likelihood(best: Match, rival: Match, lead: float, config: RankingConfig) -> float:
    """0..1: how well a rival explains the image, given by how much the best's z-score of feature edges
    leads."""
    outline = max(0.0, rival.error - best.error) / (best.error + config.error_floor)
    return float(np.exp(-outline - max(0.0, lead - 1.0)))


def view_prior_cost(azimuth, elevation):
    """Breaks ties between equal outlines: images usually show the front, from the level or a little above."""
    behind = (1 - np.cos(np.radians(azimuth))) / 2
    return 0.03 * behind + 0.02 * np.abs(np.asarray(elevation) - 10) / 90


def angle_between(azimuth: float, elevation: float, view: View) -> float:
    """Degrees between a direction and a view's."""
    cosine = look_at_origin(azimuth, elevation)[:, 2] @ look_at_origin(view.azimuth, view.elevation)[:, 2]
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
