"""The draft painter: one coloured surface, made from one picture, seen from every view."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from scipy.sparse import coo_matrix
from scipy.spatial import cKDTree

from ...api.settings import Settings
from ...mesh.surface import Surface
from ...mesh.voxels import Voxels, interpolate, voxelize
from ...render.camera import Orbit, horizontal_orbit, vertical_orbit
from ...render.rasterize import GBuffer, seen_points
from ...render.sample import bilinear
from ...render.visibility import edge_distance, facing, observe
from ..foreground import confirmed_by, cut_out, extend
from ..painter import Keep, Painting, Progress
from ..preview import COUNT, Show, strip
from ..reference import Reference
from .match import doubts
from .symmetry import Mirror, find_mirror
from .view import find_view

VIEWS, SIZE, RADIUS = 24, 640, 2.4
"""The draft's orbits: views each, pixels, distance in longest sides of the mesh."""

VOXELS = 192
"""Resolution of the grid that holds the completed colours."""

SAMPLE = 10_000
"""Visible voxels that hidden ones take their colour from: they give only the broad colours, so a sample of them is enough."""


class Draft:
    """Projects the reference; see :class:`backend.paint.painter.Painter`."""

    share = 0.2

    def orbits(self, surface: Surface, reference: Reference, settings: Settings, progress: Progress) -> list[Orbit]:
        """The reference's own view, then an orbit around and one over the top, both starting at its side of the mesh."""
        cut = cut_out(reference)
        direction = None if settings.azimuth is None else (settings.azimuth, settings.elevation)
        match = find_view(surface, cut.alpha, direction, progress, cut.color)
        view, (height, width) = match.view, cut.alpha.shape
        reach = float(np.linalg.norm(surface.vertices, axis=1).max())
        focal = 0.48 * np.sqrt(RADIUS**2 - reach**2) / reach
        return [Orbit("reference", (view.camera(width, height),), doubts(match, direction is not None)),
                horizontal_orbit(VIEWS, RADIUS, focal, SIZE, view.azimuth), vertical_orbit(VIEWS, RADIUS, focal, SIZE, view.azimuth)]

    def paint(self, surface: Surface, buffers: Sequence[GBuffer], reference: Reference, settings: Settings, progress: Progress,
              keep: Keep, show: Show) -> Painting:
        """Every view of the surface as the reference colours it, in seconds: no part of it is worth keeping."""
        picture = Picture(reference, buffers[0], facing(surface, buffers))
        voxels = voxelize(surface, VOXELS)
        mirror = agreeing_mirror(find_mirror(voxels, settings.seed), picture, voxels)
        progress(0.1)
        completed = complete(picture, mirror, voxels, settings.seed)
        progress(0.3)
        frames = []
        with ThreadPoolExecutor() as pool:
            for frame in pool.map(lambda buffer: paint_view(picture, mirror, voxels, completed, buffer, surface), buffers):
                frames.append(frame)
                progress(0.3 + 0.7 * len(frames) / len(buffers))
                if len(frames) % COUNT == 0:
                    show(strip(frames))
        preference = np.full(len(buffers), 0.6, np.float32)
        preference[0] = 1.0
        notes = [*reference.notes, "Draft: the image was projected, no AI model painted the sides it does not show."]
        if mirror is not None:
            notes.append("The mesh is symmetric: the hidden side mirrors the visible one.")
        return Painting(frames, preference, consistent=True, notes=tuple(notes))


class Picture:
    """The reference as something that points of the surface can be looked up in."""

    def __init__(self, reference: Reference, buffer: GBuffer, side: int):
        self.buffer, self.side = buffer, side
        segmented = reference.opaque
        reference = cut_out(reference)
        if segmented:
            reference = reference.with_alpha(confirmed_by(buffer.mask, reference.alpha))
        shown = reference.alpha > 0.5
        self.edges = np.minimum(edge_distance(buffer), distance_inside(shown))
        self.colors = extend(reference, inset=1 + max(shown.shape) // 400 if segmented else 0)
        # The worse the outlines agree, the further from an edge a pixel may still show what lies behind or in front of its surface.
        outline = max(int((distance_inside(shown) == 1).sum()), 1)
        self.margin = 1.0 + 2.0 * float((shown ^ buffer.mask).sum()) / outline

    def look_up(self, points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(colors, trust)`` of surface points (N, 3): (N, 3) float32 sRGB 0..1, and (N,) float32, 0 where it does not show them."""
        cosine, edge = observe(points, normals, self.buffer, self.edges, self.side)
        trust = smoothstep(cosine, 0.05, 0.2) * smoothstep(edge, 0.5, 0.5 + self.margin)
        colors = np.zeros((len(points), 3), np.float32)
        shown = trust > 0
        pixels, _ = self.buffer.camera.project(points[shown].astype(np.float64))
        colors[shown] = bilinear(self.colors, pixels)
        return colors, trust.astype(np.float32)


def distance_inside(mask: np.ndarray) -> np.ndarray:
    """(H, W) float32 pixels from each pixel of a mask to the nearest one outside it or the image."""
    return cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]


def smoothstep(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def agreeing_mirror(mirror: Mirror | None, picture: Picture, voxels: Voxels) -> Mirror | None:
    """The mirror, unless what the picture shows on both of its sides differs."""
    if mirror is None:
        return None
    here, trust = picture.look_up(voxels.positions, voxels.normals)
    there, other = picture.look_up(mirror.points(voxels.positions), mirror.directions(voxels.normals))
    both = (trust > 0.5) & (other > 0.5)
    if both.sum() < 0.02 * len(voxels):
        return mirror
    difference = np.abs(here[both] - there[both]).mean()
    chance = np.abs(here[both] - np.random.default_rng(0).permutation(there[both])).mean()
    return mirror if difference < 0.6 * chance + 0.02 else None


def mirrored_look_up(picture: Picture, mirror: Mirror | None, points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours and trust from the picture, then from the mirrored side; see :meth:`Picture.look_up`."""
    colors, trust = picture.look_up(points, normals)
    if mirror is None:
        return colors, trust
    other, other_trust = picture.look_up(mirror.points(points), mirror.directions(normals))
    rest = (1 - trust) * other_trust
    total = trust + rest
    return (colors * trust[:, None] + other * rest[:, None]) / np.maximum(total, 1e-6)[:, None], total


def complete(picture: Picture, mirror: Mirror | None, voxels: Voxels, seed: int) -> np.ndarray:
    """(N, 3) float32 sRGB: a colour for every voxel; hidden ones continue near surface of like orientation, smoothly."""
    colors, trust = mirrored_look_up(picture, mirror, voxels.positions, voxels.normals)
    known = trust > 0.5
    if not known.any():
        known = trust > 0
    if not known.any():
        inside = picture.edges > 0
        return np.tile(picture.colors[inside].mean(axis=0) if inside.any() else np.float32(0.5), (len(voxels), 1)).astype(np.float32)
    feature = np.hstack([voxels.positions, 0.15 * voxels.normals])
    sample = np.flatnonzero(known)
    sample = np.random.default_rng(seed).choice(sample, min(len(sample), SAMPLE), replace=False)
    distance, near = cKDTree(feature[sample]).query(feature[~known], k=min(16, len(sample)), eps=0.5, workers=-1)
    distance, near = distance.reshape(len(distance), -1), near.reshape(len(near), -1)
    weight = 1 / (distance + 1e-3) ** 2
    colors[~known] = np.einsum("nk,nkc->nc", weight / weight.sum(axis=1, keepdims=True), colors[sample[near]])
    return _relax(colors, known, voxels.edges)


def _relax(colors: np.ndarray, known: np.ndarray, edges: np.ndarray, rounds: int = 60) -> np.ndarray:
    """Lets colours flow between neighbouring voxels, known ones fixed, so that the completed part joins the rest without a step."""
    count = len(colors)
    links = coo_matrix((np.ones(len(edges), np.float32), edges.T), shape=(count, count)).tocsr()
    links = links + links.T
    degree = np.maximum(np.asarray(links.sum(axis=1)), 1)
    free = ~known[:, None]
    for _ in range(rounds):
        colors = np.where(free, 0.5 * colors + 0.5 * (links @ colors) / degree, colors)
    return colors.astype(np.float32)


def paint_view(picture: Picture, mirror: Mirror | None, voxels: Voxels, completed: np.ndarray, buffer: GBuffer,
               surface: Surface) -> np.ndarray:
    """(H, W, 3) uint8 sRGB frame of one view, black background."""
    seen = buffer.mask
    points, normals = seen_points(buffer), surface.face_normals[buffer.face[seen]]
    colors, trust = mirrored_look_up(picture, mirror, points, normals)
    hidden = trust < 1
    share = trust[hidden, None]
    colors[hidden] = colors[hidden] * share + interpolate(voxels, completed, points[hidden]) * (1 - share)
    frame = np.zeros((*seen.shape, 3), np.uint8)
    frame[seen] = np.round(255 * colors)
    return frame
