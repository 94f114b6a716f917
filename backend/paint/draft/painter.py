"""The draft painter: makes one coloured surface from one image, and renders it in every view."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.sparse import coo_matrix

from ...api.settings import Settings
from ...mesh.surface import Surface
from ...mesh.texels import locate_texels, to_atlas
from ...mesh.tiles import atlas_size
from ...mesh.voxels import Voxels, interpolate, voxelize
from ...neighbors import nearest_neighbors, weighted_mean
from ...parallel import iterate_parallel
from ...progress import ProgressCallback
from ...render.camera import Orbit, horizontal_orbit, vertical_orbit
from ...render.rasterize import GBuffer, normals, visible_points
from ...render.visibility import find_winding
from ..camera.registration import Registration
from ..color_source import MAX_SIZE, map_color_source
from ..painter import LoadOrRun, Painting, PictureSet, Repaint
from ..present import PresentSurface, encode_light
from ..preview import PREVIEW_COUNT, PreviewCallback, make_preview_strip
from ..reference import Reference
from .fill.config import DEFAULT_CONFIG, SynthesisConfig
from .fill.level import ColorGuess
from .fill.patch_rendering import PatchRenderer
from .fill.synthesis import ColorLookup, synthesize
from .image.border_light import BorderLight
from .image.known_surface import Forgotten, KnownSurface
from .image.light import remove_light
from .image.panel import find_panel, find_panel_back
from .image.pictures import Pictures
from .image.projection import LENIENT_TRUST, Projection
from .image.repainted import find_forgotten
from .image.symmetry import Mirror, find_mirrors
from .image.warp import warp_to_mesh


@dataclass(frozen=True)
class DraftConfig:
    """The draft's orbits, and how it extrapolates colours."""

    # Views of each orbit.
    orbit_views: int = 16
    # Pixels along the sides of those views.
    orbit_size: int = 640
    # Distance of their cameras from the middle, in longest sides of the mesh.
    orbit_radius: float = 2.4
    # Voxels along the longest side of the mesh, in which colours are extrapolated.
    voxel_resolution: int = 192
    # Visible voxels that hidden ones take their colour from: a random sample is enough for broad colours.
    max_samples: int = 10_000
    # Nearest of those that a hidden voxel's colour is mixed from.
    neighbours: int = 16
    # Distance, in longest sides of the mesh, that a difference of 1 between two normals counts as.
    normal_weight: float = 0.15
    # Rounds of diffusion between neighbouring hidden voxels.
    diffusion_rounds: int = 60
    # How the hidden side is synthesised.
    synthesis: SynthesisConfig = DEFAULT_CONFIG


class DraftPainter:
    """Projects the reference and synthesises what it hides; see :class:`backend.paint.painter.Painter`."""

    def __init__(self, config: DraftConfig = DraftConfig()):
        self.config = config

    def orbits(self, surface: Surface, registration: Registration) -> list[Orbit]:
        """The reference's own view, then an orbit around and one over the top, both starting at its side of
        the mesh."""
        config = self.config
        view, (height, width) = registration.match.view, registration.reference.alpha.shape
        # The focal length at which the mesh's bounding sphere fills 96 % of the image.
        reach = float(np.linalg.norm(surface.vertices, axis=1).max())
        focal = 0.48 * np.sqrt(config.orbit_radius**2 - reach**2) / reach
        orbit = config.orbit_views, config.orbit_radius, focal, config.orbit_size, view.azimuth
        return [
            Orbit("reference", (view.camera(width, height),), registration.notes),
            horizontal_orbit(*orbit),
            vertical_orbit(*orbit),
        ]

    def paint(
        self,
        surface: Surface,
        buffers: Sequence[GBuffer],
        reference: Reference,
        settings: Settings,
        progress: ProgressCallback,
        load_or_run: LoadOrRun,
        show_preview: PreviewCallback,
        repaint: Repaint | None = None,
        pictures: PictureSet | None = None,
        present: PresentSurface | None = None,
    ) -> Painting:
        """Every view of the surface as the reference colours it; takes seconds, so nothing of it is stored
        with ``load_or_run``. A region that already shows the reference is painted as if that hid it."""
        # Project the reference: as it shows the front, and without light for all that is copied.
        winding = find_winding(surface, buffers)
        if pictures is None:
            warped = warp_to_mesh(reference, buffers[0].camera, surface)
            layers, is_warped = (
                project_reference(warped, buffers[0], surface, winding, settings.light),
                warped is not reference,
            )
        else:
            layers, is_warped = project_pictures(pictures, winding), False
        paint = layers.paint
        # Mirror it, continue it on the back of a panel, and extrapolate broad colours to what is left.
        voxels = voxelize(surface, self.config.voxel_resolution)
        outward = outward_normals(surface, buffers)
        mirrors = find_mirrors(voxels, surface.slots, buffers[0].camera.rotation[:, 2], settings.seed)
        mirror = choose_mirror(mirrors, paint, voxels)
        panel = find_panel(surface, outward)
        back = panel and find_panel_back(panel, paint.lead)
        progress(0.1)
        laid = present and present.halved()
        known = KnownSurface(paint, paint, mirror, back, present=laid)
        extrapolated = extrapolate_colors(known, voxels, settings.seed, self.config)
        border = (
            BorderLight.measure(layers.irradiance, paint.lead, voxels, settings.seed)
            if layers.is_lit
            else None
        )
        shown = KnownSurface(layers.front, paint, mirror, back, LENIENT_TRUST, border, present=laid)
        forgotten = find_forgotten(repaint, shown, surface, voxels)
        if forgotten is not None:
            hidden_pixels = [forgotten_pixels(forgotten, each.buffer) > 0.5 for each in paint.projections]
            shown, paint = replace(shown, forgotten=forgotten), paint.without(hidden_pixels)
            known = replace(known, front=paint, paint=paint, forgotten=forgotten)

        def guess(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
            return interpolate(voxels, extrapolated, points)

        # Synthesise the hidden side from patches of the reference.
        synthesis = synthesize(
            surface,
            outward,
            paint,
            known.look_up,
            guess,
            settings.seed,
            lambda fraction: progress(0.1 + 0.5 * fraction),
            self.config.synthesis,
        )
        hidden = guess if synthesis is None else PatchRenderer(synthesis).look_up
        if border is not None:
            hidden = partial(look_up_under, border, hidden)
        # Render the coloured surface in all views.
        frames = []
        draw = partial(paint_view, shown.look_up, hidden, surface=surface, outward=outward)
        for frame in iterate_parallel(draw, buffers):
            frames.append(frame)
            progress(0.6 + 0.4 * len(frames) / len(buffers))
            if len(frames) % PREVIEW_COUNT == 0:
                show_preview(make_preview_strip(frames))
        opacity = np.ones(buffers[0].mask.shape, np.float32)
        if forgotten is not None:
            opacity -= forgotten_pixels(forgotten, buffers[0])
        if pictures is not None:
            opacity[buffers[0].mask] *= layers.front.share_of(0, visible_points(buffers[0]))
        frames[0] = layers.front.lead.composite_over(frames[0], opacity)
        preference = np.full(len(buffers), 0.6, np.float32)
        preference[0] = 1.0
        notes = describe_draft(is_warped, bool(mirrors), known, layers)
        size = atlas_size(surface.tiles, settings.texture_size)
        source = map_color_source(surface, replace(shown, present=present).measure_sources, size)
        light = map_border_light(surface, border, size) if present and border else None
        return Painting(frames, preference, True, (*reference.notes, *notes), source, light)


@dataclass(frozen=True)
class Layers:
    """The projected reference, twice.

    Attributes:
        front: as it colours what it shows.
        paint: without light and glyphs; what is copied to the rest.
        irradiance: (H, W, 3) float32, the light in the image, 1 where it is usual; None if none was removed.
        has_glyphs: whether there were glyphs.
        is_lit: whether the light stays on the front.
    """

    front: Projection | Pictures
    paint: Projection | Pictures
    irradiance: np.ndarray | None
    has_glyphs: bool
    is_lit: bool


def project_reference(
    reference: Reference, buffer: GBuffer, surface: Surface, winding: np.ndarray, light: str
) -> Layers:
    """The reference on the surface that its view sees; ``light`` is the setting."""
    unlit = None if light == "keep" else remove_light(reference, buffer.camera, surface)
    if unlit is None or unlit.irradiance is None:
        front = Projection(reference, buffer, winding)
        paint = front.erase_glyphs()
        return Layers(front, paint, None, paint is not front, False)
    paint = Projection(replace(reference, color=unlit.color), buffer, winding, unlit.reliable)
    is_lit, plain = light != "remove", paint.erase_glyphs()
    front = paint.recolor(reference.color) if is_lit else paint
    return Layers(front, plain, unlit.irradiance, plain is not paint, is_lit)


def project_pictures(pictures: PictureSet, winding: np.ndarray) -> Layers:
    """Several pictures on the surface, which were brought together before."""
    projections = tuple(
        Projection(reference, buffer, winding, reliable)
        for reference, buffer, reliable in zip(
            pictures.references, pictures.buffers, pictures.reliable, strict=True
        )
    )
    front = Pictures(projections, pictures.voxels, pictures.share)
    paint = front.erase_glyphs()
    return Layers(front, paint, None, paint is not front, False)


def forgotten_pixels(forgotten: Forgotten, buffer: GBuffer) -> np.ndarray:
    """(H, W) float32 0..1: how much of what each pixel of a view shows is forgotten."""
    pixels = np.zeros(buffer.mask.shape, np.float32)
    pixels[buffer.mask] = forgotten.weight(visible_points(buffer))
    return pixels


def describe_draft(is_warped: bool, is_symmetric: bool, known: KnownSurface, layers: Layers) -> list[str]:
    """Notes for the user about how the draft was made.

    Args:
        is_warped: whether the image was warped.
        is_symmetric: whether the mesh is.
        known: what the image tells of it.
        layers: the projected image.
    """
    notes = ["Draft: the image was projected, no AI model painted the sides it does not show."]
    if is_warped:
        notes.append("The image was warped a little, so that its outline and edges lie on those of the mesh.")
    if known.back is not None:
        notes.append(
            "The mesh is flat, and its front one pattern, which goes on behind."
            if known.back.is_pattern
            else "The mesh is flat: its back has the main colour of its front, without what is on it."
        )
    elif known.mirror is not None:
        notes.append("The mesh is symmetric: the hidden side mirrors the visible one.")
    elif is_symmetric:
        notes.append(
            "The mesh is symmetric, but the image shows different colours on its two halves, so the hidden "
            "side does not mirror the visible one."
        )
    if layers.has_glyphs:
        notes.append("Letters or digits in the image were not copied to the sides that it does not show.")
    if layers.irradiance is not None:
        where = "from what was copied to the hidden sides" if layers.is_lit else "all over"
        notes.append(f"Shading and shadows in the image were taken for light and removed {where}.")
    return notes


def choose_mirror(mirrors: list[Mirror], projection: Projection | Pictures, voxels: Voxels) -> Mirror | None:
    """The mirror that the image confirms best, the first where it says nothing; None if the image shows
    different colours on both sides of each."""
    best, most = None, -np.inf
    for mirror in mirrors:
        support = _measure_support(mirror, projection, voxels)
        if support is not None and support > most:
            best, most = mirror, support
    return best


def _measure_support(mirror: Mirror, projection: Projection | Pictures, voxels: Voxels) -> float | None:
    """By how much, in sRGB, colours of points that the image shows on both sides of a mirror differ less than
    those of random pairs do; 0 where it shows hardly any, None if they differ as much."""
    here, trust = projection.look_up(voxels.positions, voxels.normals, voxels.face)
    opposite, exists = mirror.opposite(voxels.positions)
    there, other_trust = projection.look_up(opposite, mirror.reflect_directions(voxels.normals), voxels.face)
    both = (trust > 0.5) & (other_trust > 0.5) & exists
    if both.sum() < 0.02 * len(voxels):
        return 0.0
    difference = float(np.abs(here[both] - there[both]).mean())
    chance = float(np.abs(here[both] - np.random.default_rng(0).permutation(there[both])).mean())
    return chance - difference if difference < 0.6 * chance + 0.02 else None


def look_up_under(
    border: BorderLight, look_up: ColorGuess, points: np.ndarray, normals: np.ndarray
) -> np.ndarray:
    """(N, 3) float32 sRGB: what a look-up returns for points (N, 3), under the light of the border."""
    return border.shine_on(look_up(points, normals), points)


def map_border_light(surface: Surface, border: BorderLight, size: int) -> np.ndarray:
    """(S, S, 3) uint8 map of the light at the border, at most ``size`` texels wide, see
    :func:`backend.paint.present.encode_light`."""
    texels = locate_texels(surface, min(size, MAX_SIZE))
    return to_atlas(texels, encode_light(interpolate(border.voxels, border.log_light, texels.positions)))


def extrapolate_colors(
    known_surface: KnownSurface,
    voxels: Voxels,
    seed: int,
    config: DraftConfig = DraftConfig(),
) -> np.ndarray:
    """(N, 3) float32 sRGB: a colour for every voxel; hidden ones take those of near surface of similar
    orientation, smoothly."""
    seen = voxels.positions, voxels.normals, voxels.face
    projection = known_surface.front
    colors, trust = known_surface.look_up(*seen)
    spoilt = (projection.look_up(*seen)[1] > 0) & ~projection.is_reliable(voxels.positions)
    known = (trust > 0.5) & ~spoilt
    if not known.any():
        known = trust > 0
    if not known.any():
        # The view sees nothing of the mesh: one colour for all.
        inside = projection.lead.edge_distance > 0
        color = projection.lead.colors[inside].mean(axis=0) if inside.any() else np.float32(0.5)
        return np.tile(color, (len(voxels), 1)).astype(np.float32)
    # Nearest neighbours in six dimensions, (M, k), weighted by inverse squared distance.
    feature = np.hstack([voxels.positions, config.normal_weight * voxels.normals])
    sample = np.flatnonzero(known)
    sample = np.random.default_rng(seed).choice(sample, min(len(sample), config.max_samples), replace=False)
    distance, near = nearest_neighbors(feature[sample], feature[~known], config.neighbours, tolerance=0.5)
    weight = 1 / (distance + 1e-3) ** 2
    colors[~known] = weighted_mean(colors, sample[near], weight / weight.sum(axis=1, keepdims=True))
    return _diffuse_colors(colors, known, voxels.edges, config.diffusion_rounds)


def _diffuse_colors(colors: np.ndarray, known: np.ndarray, edges: np.ndarray, rounds: int) -> np.ndarray:
    """Lets colours (N, 3) diffuse along edges (E, 2) between neighbouring voxels, known ones fixed, so that
    the extrapolated region joins the rest without a step."""
    count = len(colors)
    links = coo_matrix((np.ones(len(edges), np.float32), edges.T), shape=(count, count)).tocsr()
    links = links + links.T
    degree = np.maximum(np.asarray(links.sum(axis=1)), 1)
    free = ~known[:, None]
    for _ in range(rounds):
        colors = np.where(free, 0.5 * colors + 0.5 * (links @ colors) / degree, colors)
    return colors.astype(np.float32)


def outward_normals(surface: Surface, buffers: Sequence[GBuffer]) -> np.ndarray:
    """(F, 3) float32 face normals towards the side from which the views see each face more often, however the
    mesh winds it."""
    votes = np.zeros(len(surface.faces), np.int64)
    for buffer in buffers:
        np.add.at(votes, buffer.face[buffer.mask], np.where(buffer.front[buffer.mask], 1, -1))
    return np.where(votes[:, None] < 0, -surface.face_normals, surface.face_normals)


def paint_view(
    known: ColorLookup, hidden: ColorGuess, buffer: GBuffer, surface: Surface, outward: np.ndarray
) -> np.ndarray:
    """(H, W, 3) uint8 sRGB frame of one view on black background: known colours, blended by their trust with
    those of the hidden side."""
    seen = buffer.mask
    points, face = visible_points(buffer), buffer.face[seen]
    # Shading normals as the mesh winds its faces: the border of what is known does not follow single faces.
    shading = normals(buffer, surface)[seen] * np.where(buffer.front[seen], 1, -1)[:, None]
    colors, trust = known(points, shading.astype(np.float32), face)
    rest = trust < 1
    weight = trust[rest, None]
    colors[rest] = colors[rest] * weight + hidden(points[rest], outward[face[rest]]) * (1 - weight)
    frame = np.zeros((*seen.shape, 3), np.uint8)
    frame[seen] = np.round(255 * np.clip(colors, 0, 1))
    return frame
