"""The draft painter: one coloured surface, made from one picture, seen from every view."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from scipy.sparse import coo_matrix
from scipy.spatial import cKDTree

from ...api.settings import Settings
from ...mesh.surface import Surface
from ...mesh.voxels import Voxels, interpolate, voxelize
from ...render.camera import Orbit, horizontal_orbit, vertical_orbit
from ...render.rasterize import GBuffer, seen_points
from ...render.visibility import facing
from ..foreground import cut_out
from ..painter import Keep, Painting, Progress
from ..preview import COUNT, Show, strip
from ..reference import Reference
from .camera.ranking import doubts
from .camera.search import find_view
from .fill.patch_rendering import Layer
from .fill.synthesis import Guess, Look, synthesize
from .image.projection import BOLD, CAREFUL, Caution, Picture
from .image.shading import unlit
from .image.symmetry import Mirror, find_mirror
from .image.warp import bent

VIEWS, SIZE, RADIUS = 24, 640, 2.4
"""The draft's orbits: views each, pixels, distance in longest sides of the mesh."""

VOXELS = 192
"""Resolution of the grid that holds the completed colours."""

SAMPLE = 10_000
"""Visible voxels that hidden ones take their colour from: they give only the broad colours, so a sample of
them is enough."""


class Draft:
    """Projects the reference; see :class:`backend.paint.painter.Painter`."""

    def orbits(
        self, surface: Surface, reference: Reference, settings: Settings, progress: Progress
    ) -> list[Orbit]:
        """The reference's own view, then an orbit around and one over the top, both starting at its side of
        the mesh."""
        cut = cut_out(reference)
        direction = None if settings.azimuth is None else (settings.azimuth, settings.elevation)
        match = find_view(surface, cut.alpha, direction, progress, cut.color)
        view, (height, width) = match.view, cut.alpha.shape
        reach = float(np.linalg.norm(surface.vertices, axis=1).max())
        focal = 0.48 * np.sqrt(RADIUS**2 - reach**2) / reach
        return [
            Orbit("reference", (view.camera(width, height),), doubts(match, direction is not None)),
            horizontal_orbit(VIEWS, RADIUS, focal, SIZE, view.azimuth),
            vertical_orbit(VIEWS, RADIUS, focal, SIZE, view.azimuth),
        ]

    def paint(
        self,
        surface: Surface,
        buffers: Sequence[GBuffer],
        reference: Reference,
        settings: Settings,
        progress: Progress,
        keep: Keep,
        show: Show,
    ) -> Painting:
        """Every view of the surface as the reference colours it, in seconds: no part of it is worth
        keeping."""
        straight = bent(reference, buffers[0].camera, surface)
        picture = Picture(
            unlit(straight, buffers[0].camera, surface, settings.remove_shading),
            buffers[0],
            facing(surface, buffers),
        )
        voxels = voxelize(surface, VOXELS)
        mirror = agreeing_mirror(find_mirror(voxels, surface.slots, settings.seed), picture, voxels)
        progress(0.1)
        completed = complete(picture, mirror, voxels, settings.seed)

        known, shown = (
            partial(mirrored_look_up, picture, mirror, caution=caution) for caution in (CAREFUL, BOLD)
        )

        def guess(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
            return interpolate(voxels, completed, points)

        outward = outward_normals(surface, buffers)
        patchwork = synthesize(
            surface,
            outward,
            picture,
            known,
            guess,
            settings.seed,
            lambda fraction: progress(0.1 + 0.5 * fraction),
        )
        hidden = guess if patchwork is None else Layer(patchwork).look_up
        frames = []
        with ThreadPoolExecutor() as pool:
            for frame in pool.map(
                lambda buffer: paint_view(shown, hidden, buffer, surface, outward), buffers
            ):
                frames.append(frame)
                progress(0.6 + 0.4 * len(frames) / len(buffers))
                if len(frames) % COUNT == 0:
                    show(strip(frames))
        frames[0] = picture.over(frames[0])
        preference = np.full(len(buffers), 0.6, np.float32)
        preference[0] = 1.0
        notes = [
            *reference.notes,
            "Draft: the image was projected, no AI model painted the sides it does not show.",
        ]
        if straight is not reference:
            notes.append("The image was bent a little, so that its outline and edges lie on the mesh's.")
        if mirror is not None:
            notes.append("The mesh is symmetric: the hidden side mirrors the visible one.")
        return Painting(frames, preference, consistent=True, notes=tuple(notes))


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


def mirrored_look_up(
    picture: Picture,
    mirror: Mirror | None,
    points: np.ndarray,
    normals: np.ndarray,
    caution: Caution = CAREFUL,
) -> tuple[np.ndarray, np.ndarray]:
    """Colours and trust from the picture, then from the mirrored side unless that shows print; see
    :meth:`Picture.look_up`."""
    colors, trust = picture.look_up(points, normals, caution)
    if mirror is None:
        return colors, trust
    across = mirror.points(points)
    other, other_trust = picture.look_up(across, mirror.directions(normals), caution)
    rest = (1 - trust) * other_trust * ~picture.shows_print(across)
    total = trust + rest
    return (colors * trust[:, None] + other * rest[:, None]) / np.maximum(total, 1e-6)[:, None], total


def complete(picture: Picture, mirror: Mirror | None, voxels: Voxels, seed: int) -> np.ndarray:
    """(N, 3) float32 sRGB: a colour for every voxel; hidden ones continue near surface of like orientation,
    smoothly."""
    colors, trust = mirrored_look_up(picture, mirror, voxels.positions, voxels.normals)
    known = trust > 0.5
    if not known.any():
        known = trust > 0
    if not known.any():
        inside = picture.edges > 0
        return np.tile(
            picture.colors[inside].mean(axis=0) if inside.any() else np.float32(0.5), (len(voxels), 1)
        ).astype(np.float32)
    feature = np.hstack([voxels.positions, 0.15 * voxels.normals])
    sample = np.flatnonzero(known)
    sample = np.random.default_rng(seed).choice(sample, min(len(sample), SAMPLE), replace=False)
    distance, near = cKDTree(feature[sample]).query(
        feature[~known], k=min(16, len(sample)), eps=0.5, workers=-1
    )
    distance, near = distance.reshape(len(distance), -1), near.reshape(len(near), -1)
    weight = 1 / (distance + 1e-3) ** 2
    colors[~known] = np.einsum("nk,nkc->nc", weight / weight.sum(axis=1, keepdims=True), colors[sample[near]])
    return _relax(colors, known, voxels.edges)


def _relax(colors: np.ndarray, known: np.ndarray, edges: np.ndarray, rounds: int = 60) -> np.ndarray:
    """Lets colours flow between neighbouring voxels, known ones fixed, so that the completed part joins the
    rest without a step."""
    count = len(colors)
    links = coo_matrix((np.ones(len(edges), np.float32), edges.T), shape=(count, count)).tocsr()
    links = links + links.T
    degree = np.maximum(np.asarray(links.sum(axis=1)), 1)
    free = ~known[:, None]
    for _ in range(rounds):
        colors = np.where(free, 0.5 * colors + 0.5 * (links @ colors) / degree, colors)
    return colors.astype(np.float32)


def outward_normals(surface: Surface, buffers: Sequence[GBuffer]) -> np.ndarray:
    """(F, 3) float32 face normals towards the side from which the views see each face more often, whatever
    way the mesh winds it."""
    votes = np.zeros(len(surface.faces), np.int64)
    for buffer in buffers:
        np.add.at(votes, buffer.face[buffer.mask], np.where(buffer.front[buffer.mask], 1, -1))
    return np.where(votes[:, None] < 0, -surface.face_normals, surface.face_normals)


def paint_view(
    known: Look, hidden: Guess, buffer: GBuffer, surface: Surface, outward: np.ndarray
) -> np.ndarray:
    """(H, W, 3) uint8 sRGB frame of one view, black background."""
    seen = buffer.mask
    points, face = seen_points(buffer), buffer.face[seen]
    colors, trust = known(points, surface.face_normals[face])
    rest = trust < 1
    share = trust[rest, None]
    colors[rest] = colors[rest] * share + hidden(points[rest], outward[face[rest]]) * (1 - share)
    frame = np.zeros((*seen.shape, 3), np.uint8)
    frame[seen] = np.round(255 * np.clip(colors, 0, 1))
    return frame
