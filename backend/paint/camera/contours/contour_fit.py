"""A view is pulled onto the reference: least squares over the seven numbers of the view follow the offsets of
its contour and its inner edges, rendering again after each round (SRT3D, Stoiber et al. 2022)."""

from dataclasses import dataclass

import numpy as np

from ....mesh.surface import Surface
from ....render.rasterize import points_under
from ..view import DISTANCE, ROLL, View
from .contour import best_offsets, inner_edge_points, offset_gains
from .features import Observation
from .rendered_view import RenderedView, render_view
from .score import Fit, judge_view
from .templates import orientation_channels


@dataclass(frozen=True)
class PullConfig:
    """One round of the fit. Tuples hold a number per parameter of a view: azimuth, elevation, roll, the
    logarithms of distance and zoom, x, y."""

    # Points of the contour that are followed, at least, where it is so long; fewer than twice as many.
    points: int = 240
    # Weight of an inner edge's point, against that of a contour's of the same response.
    inner_weight: float = 0.5
    # What a pixel of offset of an inner edge costs, against its response of 0..1.
    inner_offset_cost: float = 0.03
    # What a step of a pixel between the offsets of neighbouring contour pixels costs.
    step_cost: float = 0.25
    # Longest sides of the mesh between it and the camera, where the contour leaves that open.
    usual_distance: float = 2.6
    # Strength of the prior for that distance, relative to the one against steps of it.
    distance_prior: float = 0.3
    # Steps of a view's parameters that move a contour about equally far.
    steps: tuple[float, ...] = (2.0, 2.0, 2.0, 0.1, 0.02, 0.01, 0.01)
    # Pixels per contour point that such a step costs by itself.
    step_prior: tuple[float, ...] = (0.02, 0.02, 0.06, 0.06, 0.0, 0.0, 0.0)
    # Residual in pixels from which on it counts linearly (Huber loss).
    huber_scale: float = 1.5
    # Gauss-Newton steps per round; the residuals are nearly linear.
    gauss_newton_steps: int = 3
    # Added to the diagonal of its matrix: a ball's contour leaves its direction open.
    damping: float = 1e-3
    # Largest change of a parameter by one of them, in units of ``steps``.
    max_change: float = 3.0


@dataclass(frozen=True)
class Follow:
    """Points of the surface and where the reference has them: targets of a round of least squares.

    Attributes:
        points: (N, 3) float64 on the surface.
        normal: (N, 2) float64 unit, of the edge in the image, right and down.
        offset: (N,) float64 pixels along the normal by which the edge lies elsewhere in the reference.
        weight: (N,) float64.
    """

    points: np.ndarray
    normal: np.ndarray
    offset: np.ndarray
    weight: np.ndarray


def fit_view(
    surface: Surface,
    seen: Observation,
    view: View,
    reaches: tuple[int, ...],
    color_weights: tuple[float, ...],
    keep_direction: bool = False,
) -> Fit:
    """Pulls a view onto the reference; the best of all rounds and weights.

    Args:
        surface: the mesh.
        seen: the reference.
        view: where to start.
        reaches: of each round, pixels along the contour's normals in which the reference's edges are looked
            for.
        color_weights: the fit is repeated with each of these weights of the colours, against the edges: paint
            misleads the colours, clutter the edges.
        keep_direction: only the framing and the distance are free.
    """
    start = render_view(surface, view, seen)
    if start is None:
        return Fit(view)
    fits = [judge_view(start, seen)]
    for weight in color_weights:
        rendered = start
        for reach in reaches:
            pulled = pull_view(rendered, seen, reach, weight, keep_direction)
            rendered = render_view(surface, pulled, seen)
            if rendered is None:
                break
            fits.append(judge_view(rendered, seen))
    return max(fits, key=lambda fit: fit.score)


def pull_view(
    rendered: RenderedView,
    seen: Observation,
    reach: int,
    color_weight: float,
    keep_direction: bool = False,
    config: PullConfig = PullConfig(),
) -> View:
    """One round: the view under which the contour lies where the reference has it, within ``reach``
    pixels."""
    targets = [_follow_contour(rendered, seen, reach, color_weight, config)]
    targets += _follow_inner_edges(rendered, seen, reach, config)
    points, normal, offset, weight = (
        np.concatenate([getattr(target, name) for target in targets])
        for name in ("points", "normal", "offset", "weight")
    )
    width, height = seen.shape
    origin, _ = rendered.view.camera(width, height).project(points)
    free = np.array([*[not keep_direction] * 3, True, True, True, True])
    unit, prior = np.array(config.steps), np.array(config.step_prior) * np.sqrt(len(targets[0].points))
    start = rendered.view.parameters()
    # What a contour does not show (a ball's roll and distance) stays as in most images.
    usual = np.zeros((2, len(unit)))
    usual[0, ROLL], usual[1, DISTANCE] = prior[ROLL], config.distance_prior * prior[DISTANCE]
    usual_parameters = np.zeros(len(unit))
    usual_parameters[DISTANCE] = np.log(config.usual_distance)

    def displace(step: np.ndarray) -> View:
        parameters = start.copy()
        parameters[free] += unit[free] * step
        return View.from_parameters(parameters)

    # Iteratively reweighted least squares with Huber's loss.
    step = np.zeros(free.sum())
    for _ in range(config.gauss_newton_steps):
        guess = displace(step)
        there, _ = guess.camera(width, height).project(points)
        along = ((there - origin) * normal).sum(axis=1)
        unusual = usual @ ((guess.parameters() - usual_parameters) / unit)
        residual = np.concatenate([weight * (along - offset), step * prior[free], unusual])
        across = np.einsum("npk,np->nk", guess.project_jacobian(points, width, height), normal) * unit
        jacobian = np.vstack([weight[:, None] * across[:, free], np.diag(prior[free]), usual[:, free]])
        huber = np.minimum(1, config.huber_scale / np.maximum(np.abs(residual), 1e-9))
        weighted = jacobian.T * huber
        matrix = weighted @ jacobian + config.damping * np.eye(len(step))
        change = np.linalg.solve(matrix, weighted @ residual)
        step -= np.clip(change, -config.max_change, config.max_change)
    return displace(step)


def _follow_contour(
    rendered: RenderedView, seen: Observation, reach: int, color_weight: float, config: PullConfig
) -> Follow:
    """Where the reference has the contour."""
    contour = rendered.contour
    ratio = np.log((rendered.inside + 1e-4) / (rendered.around + 1e-4))
    ratio = np.float32(color_weight) * np.clip(ratio, -3, 3).astype(np.float32)
    gain = offset_gains(contour.pixels, contour.channel, contour.normal, seen.edges, ratio[seen.bins], reach)
    offset, worth = best_offsets(gain, contour.line, np.float32(config.step_cost))
    every = slice(None, None, max(1, len(contour.pixels) // config.points))
    points = points_under(rendered.buffer, contour.pixels[every])
    distance = (offset[every] - reach).astype(np.float64)
    return Follow(points, contour.normal[every], distance, np.sqrt(worth[every]))


def _follow_inner_edges(
    rendered: RenderedView, seen: Observation, reach: int, config: PullConfig
) -> list[Follow]:
    """Where the reference has the feature edges inside of the contour; empty if they are few. Only edges
    count, since there may be any paint on both sides."""
    pixels, normal = inner_edge_points(rendered.edges)
    if len(pixels) <= 8:
        return []
    no_colors = np.zeros(rendered.buffer.mask.shape, np.float32)
    gain = offset_gains(pixels, orientation_channels(normal), normal, seen.edges, no_colors, reach)
    gain -= config.inner_offset_cost * np.abs(np.arange(-reach, reach + 1, dtype=np.float32))
    best = gain.argmax(axis=1)
    response = np.clip(gain[np.arange(len(best)), best], 0, 1)
    weight = np.sqrt(config.inner_weight * response)
    points = points_under(rendered.buffer, pixels)
    return [Follow(points, normal, (best - reach).astype(np.float64), weight)]
