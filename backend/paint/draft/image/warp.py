"""Warps the reference a little, so that the object's outline and edges lie on those of the mesh.

An image of something that only resembles the mesh has parts of another size or place, which no camera can
match. The warp is a free-form deformation: a lattice of control points, an eighth of the image apart, with
springs between them (:mod:`backend.align.free_form`). Outlines pull as signed distance fields, which say at
every pixel near them how far to go. If the mesh's feature edges can be recognised in the image at all, each
then pulls towards the strongest edge of the image near by.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ....align.free_form import gauss_newton_step, identity, to_dense_flow
from ....mesh.surface import Surface
from ....render.camera import Camera
from ....render.rasterize import rasterize
from ...bend import read_along, warp_image
from ...camera.feature_edges import FeatureEdges, mesh_feature_edges
from ...camera.outline import shrink_mask, signed_distance_field
from ...reference import Reference


@dataclass(frozen=True)
class WarpConfig:
    """How the warp is fitted; a cell is a pixel of the flow."""

    # Cells along the longer side of the image.
    cells: int = 128
    # Pixels along a cell in which outlines are drawn.
    pixels_per_cell: int = 4
    # Largest displacement, as a fraction of the object's size (the root of its area).
    max_displacement: float = 0.03
    # Cells on both sides of an outline that pull.
    band: float = 1.5
    # Mean cells between the outlines below which nothing is warped.
    min_mismatch: float = 0.15
    # Fraction of that mismatch that a warp may leave at most, to be used.
    max_remaining: float = 0.7
    # Gauss-Newton steps with outlines alone, and as many again with feature edges.
    rounds: int = 6
    # Z-score of the mesh's feature edges on the image's from which on they pull.
    min_z_score: float = 2.0
    # Weight of a cell of outline against the springs.
    outline_weight: float = 100.0
    # Weight of a cell of feature edge, relative to one of outline.
    edge_weight: float = 20.0


def warp_to_mesh(
    reference: Reference, camera: Camera, surface: Surface, config: WarpConfig = WarpConfig()
) -> Reference:
    """The reference, warped onto the mesh as its camera sees it; the reference itself if it matches already,
    or warping does not help."""
    flow = fit_warp(reference, camera, surface, config)
    return reference if flow is None else warp_image(reference, flow)


def fit_warp(
    cut: Reference, camera: Camera, surface: Surface, config: WarpConfig = WarpConfig()
) -> np.ndarray | None:
    """(h, w, 2) float32: how many cells to the right and downwards of a place of the mesh the image shows it;
    None if the outlines match already, or cannot be made to.

    Args:
        cut: the image, with the object's alpha.
        camera: its view of the mesh.
        surface: the mesh.
        config: of the fit.
    """
    pull = _OutlinePull.measure(cut, camera, surface, config)
    mismatch = pull.mean_mismatch(pull.wanted)
    if mismatch is None or mismatch < config.min_mismatch:
        return None
    # With outlines alone.
    shape = pull.own.shape
    lattice = identity(shape)
    for _ in range(config.rounds):
        lattice = _step_lattice(lattice, pull, None, config)
    flow = to_dense_flow(lattice, shape)
    if pull.mean_mismatch(read_along(pull.wanted, flow)) > config.max_remaining * mismatch:
        return None
    # With feature edges too, if the warped image shows them.
    warped = warp_image(cut, flow)
    z_score = FeatureEdges(warped.color, warped.alpha).alignment_z_score(
        surface, lambda width, height: replace(camera, width=width, height=height)
    )
    if z_score > config.min_z_score:
        edge_pull = _EdgePull(cut, camera, surface, shape, config)
        for _ in range(config.rounds):
            lattice = _step_lattice(lattice, pull, edge_pull, config)
    return to_dense_flow(lattice, shape)


@dataclass(frozen=True)
class _OutlinePull:
    """The mesh's outline, drawn to the object's.

    Attributes:
        own, wanted: (h, w) float32 signed distances in cells to the outline of the mesh, and of the object.
        across, down: (h, w) float32 gradient of the latter.
        band: (h, w) float32, 1 near the mesh's outline, else 0.
        limit: cells of the largest displacement.
    """

    own: np.ndarray
    wanted: np.ndarray
    across: np.ndarray
    down: np.ndarray
    band: np.ndarray
    limit: np.float32

    @staticmethod
    def measure(cut: Reference, camera: Camera, surface: Surface, config: WarpConfig) -> "_OutlinePull":
        stride = config.pixels_per_cell
        target = shrink_mask(cut.alpha, config.cells * stride)
        small = replace(camera, width=target.shape[1], height=target.shape[0])
        mesh = rasterize(surface.vertices, surface.faces, small).mask
        cells = tuple(-(-pixels // stride) for pixels in target.shape[::-1])
        own, wanted = (
            cv2.resize(signed_distance_field(mask) / stride, cells, interpolation=cv2.INTER_AREA)
            for mask in (mesh, target)
        )
        down, across = np.gradient(wanted)
        band = (np.abs(own) < config.band).astype(np.float32)
        limit = np.float32(config.max_displacement * np.sqrt(target.sum()) / stride)
        return _OutlinePull(own, wanted, across, down, band, limit)

    def mean_mismatch(self, warped: np.ndarray) -> float | None:
        """Mean cells, within the band, between the mesh's outline and the object's, whose signed distances
        are ``warped``; None without a band, as of a flat mesh seen edge-on."""
        return np.abs(self.own - warped)[self.band > 0].mean() if self.band.any() else None


class _EdgePull:
    """The mesh's feature edges, each drawn to the strongest edge of the image near by, along the axis that it
    crosses."""

    def __init__(
        self,
        cut: Reference,
        camera: Camera,
        surface: Surface,
        shape: tuple[int, int],
        config: WarpConfig,
    ):
        self.shape, self.weight, image = shape, config.edge_weight, FeatureEdges(cut.color, cut.alpha)
        width, height = image.shape
        self.scale = np.float32([width / shape[1], height / shape[0]])
        buffer = rasterize(surface.vertices, surface.faces, replace(camera, width=width, height=height))
        self.edges, self.gradients = mesh_feature_edges(buffer, surface), image.gradients

    def at(self, flow: np.ndarray, limit: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Per axis (h, w) float32: the root of the weight, and that times the cells still to go, for a flow
        (h, w, 2) in cells; ``limit`` is how far edges are looked for, in cells."""
        roots, pulls = [], []
        fine_flow = cv2.resize(flow, self.edges[0].shape[::-1], interpolation=cv2.INTER_LINEAR) * self.scale
        reach = int(np.ceil(limit * self.scale.max()))
        offsets = np.arange(-reach, reach + 1, dtype=np.float32)
        for axis in (0, 1):
            # (offsets, H, W): the image's gradient beside each pixel, and where it is strongest.
            unit = np.eye(2, dtype=np.float32)[axis]
            profile = np.stack(
                [read_along(self.gradients[axis], fine_flow + unit * offset) for offset in offsets]
            )
            peak = profile.argmax(axis=0)
            # A peak counts by how much it stands out from the rest, on an edge of the mesh.
            weight = self.edges[axis] * np.clip(profile.max(axis=0) - 2 * profile.mean(axis=0), 0, 1)
            # Means over cells.
            here, distance = (
                cv2.resize(image, self.shape[::-1], interpolation=cv2.INTER_AREA)
                for image in (weight, weight * offsets[peak])
            )
            root = np.sqrt(self.weight * here)
            roots.append(root)
            pulls.append(root * (distance / self.scale[axis]) / np.maximum(here, 1e-6))
        return roots, pulls


def _step_lattice(
    lattice: np.ndarray, pull: _OutlinePull, edge_pull: _EdgePull | None, config: WarpConfig
) -> np.ndarray:
    """The lattice after one Gauss-Newton step, no point displaced by more than the limit."""
    shape = pull.own.shape
    flow, zeros = to_dense_flow(lattice, shape), np.zeros_like(pull.own)
    wanted, across, down = (read_along(image, flow) for image in (pull.wanted, pull.across, pull.down))
    residual = pull.own - wanted
    # What is far beyond the limit is something else: a bar in front of the object, or a part that the mesh
    # does not have.
    weight = np.sqrt(pull.band / (1 + (residual / pull.limit) ** 4))
    roots, pulls = edge_pull.at(flow, pull.limit) if edge_pull else ([zeros, zeros], [zeros, zeros])
    # Three equations per cell: the outline's, and one per axis for feature edges.
    lattice = gauss_newton_step(
        lattice,
        np.dstack([weight * across, roots[0], zeros]),
        np.dstack([weight * down, zeros, roots[1]]),
        np.dstack([weight * residual, *pulls]),
        np.full(shape, config.outline_weight, np.float32),
    )
    length = np.linalg.norm(lattice, axis=2, keepdims=True)
    return lattice * np.minimum(1, pull.limit / np.maximum(length, 1e-6))
