"""Brings pictures of one object together: fitted to the mesh, without their light, in one tone where they
overlap, and in register on the surface."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from ..align.align import align
from ..bake.agreement import match_low_band
from ..fuse.observations import PaintedViews
from ..fuse.solve import blend
from ..mesh.surface import Surface
from ..mesh.voxels import Voxels
from ..paint.draft.image.color import to_linear, to_srgb
from ..paint.draft.image.light import remove_light
from ..paint.draft.image.projection import distance_to_outside
from ..paint.draft.image.warp import warp_to_mesh
from ..paint.reference import Reference
from ..progress import ProgressCallback
from ..render.rasterize import GBuffer
from ..render.sample import sample_bilinear
from ..render.visibility import edge_distance, observe


@dataclass(frozen=True)
class HarmonizeConfig:
    """How pictures are brought together."""

    # Cosine between surface and view, and pixels from an edge, from which on a voxel's tone is compared.
    min_cosine: float = 0.3
    min_edge: float = 4.0
    # Voxels that two pictures share from which on their tones are compared.
    min_shared: int = 200
    # Fraction of the differences that light explains from which on it is light and not paint: of pictures of
    # unlit paint the most is 0.1.
    certain_light: float = 0.15
    # Linear colour that is added before a ratio is taken: dark pixels are noise.
    floor: float = 0.004
    # Weights of the first picture's gain, which is 1, and of those of the others, which are 1 by default.
    fixed: float = 1e4
    inertia: float = 0.1
    # Largest factor, and its inverse, by which a picture's brightness is changed.
    max_gain: float = 4.0
    # Trust in the other pictures, the lead's being 1: the consensus has its tone.
    trust: float = 0.6
    # Power of the cosine in the weights of the consensus.
    blend_power: float = 2.0
    # Texels along the consensus.
    consensus_size: int = 1024


@dataclass(frozen=True)
class Observed:
    """A picture on its view of the surface.

    Attributes:
        reference: the picture, whose alpha holds only the object.
        buffer: the surface as its camera sees it, at its resolution.
        reliable: (H, W) bool, the pixels that show paint that may be copied.
    """

    reference: Reference
    buffer: GBuffer
    reliable: np.ndarray

    def edges(self) -> np.ndarray:
        """(H, W) float32 pixels to the nearest outline of mesh or object, or jump in the mesh's depth."""
        return np.minimum(edge_distance(self.buffer), distance_to_outside(self.reference.alpha > 0.5))


@dataclass(frozen=True)
class Tones:
    """The tones of pictures.

    Attributes:
        gains: (P, 3) float64, the factors on linear colours that make them one; 1 for the first, and for a
            picture that overlaps none.
        difference: the mean difference that is left where two overlap, of the logarithms of linear colours;
            infinite where none do.
    """

    gains: np.ndarray
    difference: float


def harmonize(
    surface: Surface,
    references: Sequence[Reference],
    buffers: Sequence[GBuffer],
    winding: np.ndarray,
    voxels: Voxels,
    light: str,
    progress: ProgressCallback,
    config: HarmonizeConfig = HarmonizeConfig(),
) -> list[Observed]:
    """Pictures that agree where they overlap, as far as they can; the first keeps its tone.

    Args:
        surface: with UVs.
        references: the pictures, cut out.
        buffers: the surface as each one's camera sees it.
        winding: (F,) int8 of the faces, see :func:`backend.render.visibility.find_winding`.
        voxels: of the surface.
        light: the setting.
        progress: called with the fraction done.
        config: of the steps.
    """
    # Each by itself: fitted to the mesh, and unlit.
    lit, unlit, certain = [], [], []
    for reference, buffer in zip(references, buffers, strict=True):
        warped = warp_to_mesh(reference, buffer.camera, surface)
        lit.append(Observed(warped, buffer, np.ones(warped.alpha.shape, bool)))
        dark, explained = _take_light_off(lit[-1], surface, light)
        unlit.append(dark)
        certain.append(dark if light == "remove" or explained > config.certain_light else lit[-1])
        progress(0.6 * len(lit) / len(references))
    # In one tone, roughly. What may be light or paint counts as light if they agree better without it.
    pictures, tones = unlit, match_tones(unlit, winding, voxels, config)
    if light == "automatic":
        others = match_tones(certain, winding, voxels, config)
        if others.difference <= tones.difference:
            pictures, tones = certain, others
    pictures = [_apply_gain(picture, gain) for picture, gain in zip(pictures, tones.gains, strict=True)]
    # In register, and in one tone down to what is smooth.
    return _align_pictures(surface, pictures, winding, lambda done: progress(0.6 + 0.4 * done), config)


def match_tones(
    pictures: Sequence[Observed],
    winding: np.ndarray,
    voxels: Voxels,
    config: HarmonizeConfig = HarmonizeConfig(),
) -> Tones:
    """What brings the pictures to one exposure and white balance where they overlap, directly or over
    others."""
    looks = [_look(picture, winding, voxels, config) for picture in pictures]
    # Per pair that overlaps: the median ratio of their colours.
    pairs = []
    for one, other in combinations(range(len(pictures)), 2):
        both = looks[one][1] & looks[other][1]
        if both.sum() >= config.min_shared:
            ratio = np.log((looks[one][0][both] + config.floor) / (looks[other][0][both] + config.floor))
            pairs.append((one, other, ratio))
    # Gains by least squares: the first is fixed, the others tend to stay as they are.
    unit = np.eye(len(pictures))
    rows = [config.fixed * unit[0], *config.inertia * unit[1:]]
    wanted = [np.zeros(3)] * len(rows)
    for one, other, ratio in pairs:
        row = np.zeros(len(pictures))
        row[[one, other]] = -1, 1
        weight = np.sqrt(len(ratio))
        rows.append(weight * row)
        wanted.append(weight * np.median(ratio, axis=0))
    logarithms = np.linalg.lstsq(np.array(rows), np.array(wanted), rcond=None)[0]
    limit = np.log(config.max_gain)
    logarithms = np.clip(logarithms, -limit, limit)
    rest = [np.abs(ratio + logarithms[one] - logarithms[other]).ravel() for one, other, ratio in pairs]
    return Tones(np.exp(logarithms), float(np.concatenate(rest).mean()) if rest else np.inf)


def _take_light_off(picture: Observed, surface: Surface, light: str) -> tuple[Observed, float]:
    """A picture without its light, and the fraction of the differences in it that light explains."""
    if light == "keep":
        return picture, 0.0
    unlit = remove_light(picture.reference, picture.buffer.camera, surface)
    reference = replace(picture.reference, color=unlit.color)
    return replace(picture, reference=reference, reliable=unlit.reliable), unlit.explained


def _look(
    picture: Observed, winding: np.ndarray, voxels: Voxels, config: HarmonizeConfig
) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) float32 linear colours of voxels in a picture, and (N,) bool which it shows squarely."""
    cosine, edge = observe(
        voxels.positions, voxels.normals, picture.buffer, picture.edges(), winding[voxels.face]
    )
    pixels, _ = picture.buffer.camera.project(voxels.positions.astype(np.float64))
    colors = to_linear(np.clip(sample_bilinear(picture.reference.color, pixels), 0, 1))
    return colors, (cosine > config.min_cosine) & (edge > config.min_edge)


def _apply_gain(picture: Observed, gain: np.ndarray) -> Observed:
    linear = to_linear(picture.reference.color) * gain
    color = to_srgb(np.clip(linear, 0, 1)).astype(np.float32)
    return replace(picture, reference=replace(picture.reference, color=color))


def _align_pictures(
    surface: Surface,
    pictures: Sequence[Observed],
    winding: np.ndarray,
    progress: ProgressCallback,
    config: HarmonizeConfig,
) -> list[Observed]:
    """The pictures with drift and differences in tone removed, as the stage ``align`` does for frames."""
    trust = np.full(len(pictures), config.trust, np.float32)
    trust[0] = 1.0
    buffers = [picture.buffer for picture in pictures]
    views = PaintedViews(buffers, [picture.edges() for picture in pictures], winding, trust)
    frames = [np.round(255 * np.clip(picture.reference.color, 0, 1)).astype(np.uint8) for picture in pictures]
    alignment = align(surface, views, frames, progress)
    colors = _keep_tone_of_first(alignment.colors, frames[0], alignment.views[0].pixels)
    # What is smooth of the differences that are left.
    weights = [
        factor * view.weights(config.blend_power) for factor, view in zip(trust, alignment.views, strict=True)
    ]
    consensus, _ = blend(alignment.views, weights, colors, config.consensus_size)
    colors = match_low_band(alignment.views, colors, consensus, [buffer.face.shape for buffer in buffers])
    aligned = []
    for picture, view, own in zip(pictures, alignment.views, colors, strict=True):
        color = picture.reference.color.copy()
        color.reshape(-1, 3)[view.pixels] = np.clip(own, 0, 255) / 255
        aligned.append(replace(picture, reference=replace(picture.reference, color=color)))
    return aligned


def _keep_tone_of_first(
    colors: Sequence[np.ndarray], frame: np.ndarray, pixels: np.ndarray
) -> list[np.ndarray]:
    """Colours (N, 3) of all pictures, after the change of tone that gives the first, whose pixels they are,
    that of its frame (H, W, 3) uint8 again."""
    if not len(pixels):
        return list(colors)
    before, after = frame.reshape(-1, 3)[pixels].astype(np.float32), colors[0]
    spread = after.std(axis=0)
    gain = np.where(spread > 1, before.std(axis=0) / np.maximum(spread, 1), 1.0)
    shift = before.mean(axis=0) - gain * after.mean(axis=0)
    return [(gain * own + shift).astype(np.float32) for own in colors]
