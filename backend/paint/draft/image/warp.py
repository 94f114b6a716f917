"""The reference bent a little, so that the object's outline and inner edges lie on the mesh's.

A picture of something that only resembles the mesh has parts of another size or place, and no camera mends
that. The bend is a lattice of control points, an eighth of the picture apart, with springs between them
(:mod:`backend.align.lattice`). Outlines pull as signed distances, which say at every pixel near them how far
to go. Where the mesh's inner edges are seen in the picture at all, each then pulls towards the strongest edge
of the picture near by.
"""

from dataclasses import replace

import cv2
import numpy as np

from ....align.lattice import dense, flat, moved
from ....mesh.surface import Surface
from ....render.camera import Camera
from ....render.rasterize import rasterize
from ...foreground import cut_out
from ...reference import Reference
from ..camera.feature_edges import InnerEdges, mesh_edges
from ..camera.outline import shrunk, signed_distance

CELLS, FINER = 128, 4
"""Cells along the longer side of the picture, in which the bend is found, and pixels per cell in which
outlines are drawn."""

REACH = 0.03
"""Largest bend, in parts of the object's size (the root of its area)."""

BAND = 1.5
"""Cells on both sides of an outline that pull."""

LEAST, LOWERED = 0.15, 0.7
"""Cells between outlines below which nothing is bent, and what a bend has to lower them to, at the most, to
be used."""

ROUNDS = 6
"""Steps with outlines alone, and as many again with inner edges."""

SEEN = 2.0
"""Standard deviations of chance by which the mesh's inner edges lie on the picture's where they may pull."""

STRENGTH, INNER = 100.0, 20.0
"""What a cell of outline counts against the springs; what one of inner edge counts in parts of that."""


def bent(reference: Reference, camera: Camera, surface: Surface) -> Reference:
    """The reference, bent onto the mesh as its camera sees it; the reference itself where that fits already,
    or bending does not help."""
    flow = bend(cut_out(reference), camera, surface)
    return reference if flow is None else along(reference, flow)


def along(reference: Reference, flow: np.ndarray) -> Reference:
    """A picture, read as far beside each pixel as a flow (h, w, 2) float32 says, in pixels of its own
    size."""
    height, width = reference.alpha.shape
    flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_CUBIC) * np.float32(
        [width / flow.shape[1], height / flow.shape[0]]
    )
    places = flow + _places((height, width))
    color, alpha = (
        cv2.remap(image, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for image in (reference.color, reference.alpha)
    )
    return replace(reference, color=color, alpha=alpha)


def bend(cut: Reference, camera: Camera, surface: Surface) -> np.ndarray | None:
    """(h, w, 2) float32 cells to the right and downwards by which the picture shows each place of the mesh
    beside it; None where outlines agree already, or cannot be brought to.

    Args:
        cut: the picture, with the object's alpha.
        camera: its view of the mesh.
        surface: the mesh.
    """
    target = shrunk(cut.alpha, CELLS * FINER)
    shape = tuple(-(-side // FINER) for side in target.shape)
    mesh = rasterize(
        surface.vertices, surface.faces, replace(camera, width=target.shape[1], height=target.shape[0])
    ).mask
    own, wanted = (
        cv2.resize(signed_distance(mask) / FINER, shape[::-1], interpolation=cv2.INTER_AREA)
        for mask in (mesh, target)
    )
    down, across = np.gradient(wanted)
    band = (np.abs(own) < BAND).astype(np.float32)
    most = np.float32(REACH * np.sqrt(target.sum()) / FINER)
    if not band.any():  # a sheet seen edge-on
        return None
    before = np.abs(own - wanted)[band > 0].mean()
    if before < LEAST:
        return None

    def stepped(lattice: np.ndarray, inner: _InnerPull | None) -> np.ndarray:
        flow, none = dense(lattice, shape), np.zeros_like(own)
        there, across_there, down_there = (_moved(image, flow) for image in (wanted, across, down))
        lack = own - there
        # What is far beyond reach is something else, a bar before the object or a part that the mesh has not.
        weight = np.sqrt(band / (1 + (lack / most) ** 4))
        slopes, pulls = inner.at(flow, most) if inner else ([none, none], [none, none])
        lattice = moved(
            lattice,
            np.dstack([weight * across_there, slopes[0], none]),
            np.dstack([weight * down_there, none, slopes[1]]),
            np.dstack([weight * lack, *pulls]),
            np.full(shape, STRENGTH, np.float32),
        )
        return lattice * np.minimum(
            1, most / np.maximum(np.linalg.norm(lattice, axis=2, keepdims=True), 1e-6)
        )

    lattice = flat(shape)
    for _ in range(ROUNDS):
        lattice = stepped(lattice, None)
    if np.abs(own - _moved(wanted, dense(lattice, shape)))[band > 0].mean() > LOWERED * before:
        return None
    straight = along(cut, dense(lattice, shape))
    seen = InnerEdges(straight.color, straight.alpha).agreement(
        surface, lambda width, height: replace(camera, width=width, height=height)
    )
    if seen > SEEN:
        inner = _InnerPull(cut, camera, surface, shape)
        for _ in range(ROUNDS):
            lattice = stepped(lattice, inner)
    return dense(lattice, shape)


class _InnerPull:
    """The mesh's inner edges, each drawn to the strongest edge of the picture near by, along the axis that it
    crosses."""

    def __init__(self, cut: Reference, camera: Camera, surface: Surface, shape: tuple[int, int]):
        self.shape, picture = shape, InnerEdges(cut.color, cut.alpha)
        width, height = picture.shape
        self.scale = np.float32([width / shape[1], height / shape[0]])
        buffer = rasterize(surface.vertices, surface.faces, replace(camera, width=width, height=height))
        self.edges, self.across = mesh_edges(buffer, surface), picture.across

    def at(self, flow: np.ndarray, most: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Per axis (h, w) float32: the root of the weight, and that times the cells still to go, for a flow
        (h, w, 2) in cells."""
        slopes, pulls = [], []
        finer = cv2.resize(flow, self.edges[0].shape[::-1], interpolation=cv2.INTER_LINEAR) * self.scale
        reach = int(np.ceil(most * self.scale.max()))
        for axis in (0, 1):
            steps = np.arange(-reach, reach + 1, dtype=np.float32)
            along = np.stack(
                [
                    _moved(self.across[axis], finer + np.eye(2, dtype=np.float32)[axis] * step)
                    for step in steps
                ]
            )
            peak = along.argmax(axis=0)
            weight = self.edges[axis] * np.clip(along.max(axis=0) - 2 * along.mean(axis=0), 0, 1)
            here = cv2.resize(weight, self.shape[::-1], interpolation=cv2.INTER_AREA)
            way = (
                cv2.resize(weight * steps[peak], self.shape[::-1], interpolation=cv2.INTER_AREA)
                / self.scale[axis]
            )
            root = np.sqrt(INNER * here)
            slopes.append(root)
            pulls.append(root * way / np.maximum(here, 1e-6))
        return slopes, pulls


def _places(shape: tuple[int, int]) -> np.ndarray:
    """(H, W, 2) float32: column and row of every pixel."""
    return np.stack(np.meshgrid(*(np.arange(side, dtype=np.float32) for side in shape[::-1])), axis=-1)


def _moved(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """An image (H, W) float32, read as far beside each pixel as a flow (H, W, 2) says."""
    return cv2.remap(
        image, _places(image.shape) + flow, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
