"""Takes the light off the reference: what remains is paint.

Light is what :mod:`.lamps` fits. The edges of its shadows are a pixel or two beside those in the image, for
neither the view nor the mesh is exact: they are moved onto them. What no lamp explains, shades within one
paint (:mod:`.paints`), counts as light too. Then the image is divided by it.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy import ndimage

from ....image import shrink_longest
from ....mesh.surface import Surface
from ....render.camera import Camera
from ....render.rasterize import normals, rasterize, visible_points
from ...reference import Reference
from .color import LUMA, to_linear, to_srgb
from .lamps import LampConfig, LampFit, fit_lamps
from .paints import PaintConfig, shade_within_paints
from .transfer import RadianceTransfer, TransferConfig


@dataclass(frozen=True)
class LightConfig:
    """How light is fitted, and how it is removed."""

    # Sampling of directions and depth maps.
    transfer: TransferConfig = field(default_factory=TransferConfig)
    # The fit.
    lamps: LampConfig = field(default_factory=LampConfig)
    # What remains within one paint.
    paints: PaintConfig = field(default_factory=PaintConfig)
    # Fraction of the differences that light has to explain to be removed. Of 77 lit pictures one has -0.08,
    # the next poorest 0.043; of their unlit albedos the highest 0.014.
    min_explained: float = 0.025
    # Quantile of irradiance on the object that counts as usual, and keeps its brightness.
    usual_quantile: float = 0.7
    # Largest factors by which a pixel is lightened and darkened.
    max_lighten: float = 6.0
    max_darken: float = 6.0**0.5
    # Pixels along the longer side at which the edges of shadows are moved onto those of the image.
    snap_size: int = 480
    # Pixels, at that size: how far they are moved, and the window of the median that is the paint around.
    snap_reach: int = 3
    snap_window: int = 13
    # Costs of moving by a pixel, and of moving at all, in logarithms of paint.
    snap_cost: float = 0.02
    # Part of the difference to the paint around that may remain: a border of paint moves no light.
    snap_rest: float = 0.3
    # Irradiance, usual being 1, below which paint is not to be known, and pixels (of 480) around it.
    darkest: float = 0.35
    margin: int = 3
    # Largest fraction of the object that highlights are: more that is clipped is white paint.
    max_highlights: float = 0.1


@dataclass(frozen=True)
class Unlit:
    """A reference without its light.

    Attributes:
        color: (H, W, 3) float32 sRGB, paint; the image itself if light explains nothing of it.
        irradiance: (H, W, 3) float32, linear, what was divided out: 1 is usual; None if nothing was.
        reliable: (H, W) bool, where paint is known: not in deep shadow, and no highlight.
        explained: fraction of the differences within one paint that light explains.
    """

    color: np.ndarray
    irradiance: np.ndarray | None
    reliable: np.ndarray
    explained: float


def remove_light(
    reference: Reference, camera: Camera, surface: Surface, config: LightConfig = LightConfig()
) -> Unlit:
    """Fits the light in an image and divides it out.

    Args:
        reference: the image; its alpha is the object.
        camera: its view of the mesh, at its resolution.
        surface: the mesh.
        config: of the fit.
    """
    alpha = reference.alpha
    transfer = RadianceTransfer.measure(surface, config.transfer)
    fit = fit_lamps(reference.color, alpha, camera, surface, transfer, config.lamps)
    if fit is None or fit.explained < config.min_explained:
        everywhere = np.ones(alpha.shape, bool)
        return Unlit(reference.color, None, everywhere, 0.0 if fit is None else fit.explained)
    linear = to_linear(reference.color)
    log_light, inside = _light_image(linear, alpha, camera, surface, transfer, fit, config)
    light = np.exp(log_light)
    color = np.where((alpha > 0)[..., None], to_srgb(np.clip(linear / light, 0, 1)), reference.color)
    reliable = _find_reliable(reference.color, light, inside, config)
    return Unlit(color.astype(np.float32), light, reliable, fit.explained)


def _light_image(
    linear: np.ndarray,
    alpha: np.ndarray,
    camera: Camera,
    surface: Surface,
    transfer: RadianceTransfer,
    fit: LampFit,
    config: LightConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """``(log_light, inside)``: (H, W, 3) float32 logarithm of the irradiance in an image (H, W, 3) of linear
    light, 0 where it is usual, and (H, W) bool, where it shows the mesh."""
    buffer = rasterize(surface.vertices, surface.faces, camera)
    log_light, shown = np.zeros((*buffer.mask.shape, 3), np.float32), buffer.mask
    points, normal = visible_points(buffer), normals(buffer, surface)[shown]
    towards = camera.directions_to(points).astype(np.float32)
    light = transfer.light(points, normal, towards, fit.radiance, fit.gloss)
    log_light[shown] = np.log(np.maximum(light, 1e-6))
    inside = shown & (alpha > 0.5)
    log_light -= np.quantile(log_light[inside], config.usual_quantile, axis=0).astype(np.float32)
    # What the image says better than the lamps: where shadows end, and the shades within one paint.
    log_light = snap_shadows(log_light, np.log(np.maximum(linear @ LUMA, 1e-3)), shown, config)
    log_light = np.clip(log_light, -np.log(config.max_lighten), np.log(config.max_darken))
    log_image = np.log(np.maximum(linear, config.paints.darkest))
    log_light += shade_within_paints(log_image, log_light, alpha, camera, surface, config.paints)
    # Beyond the mesh the nearest light continues: the image's outline is not quite the mesh's.
    nearest = ndimage.distance_transform_edt(~shown, return_indices=True, return_distances=False)
    return log_light[tuple(nearest)], inside


def snap_shadows(
    log_light: np.ndarray, log_luma: np.ndarray, shown: np.ndarray, config: LightConfig = LightConfig()
) -> np.ndarray:
    """(H, W, 3) float32: the light with the edges of its shadows moved onto those of the image: every pixel
    takes the light of the pixel near by under which its paint is most like the paint around.

    Args:
        log_light: (H, W, 3) float32 logarithm of irradiance.
        log_luma: (H, W) float32 logarithm of the image's luminance.
        shown: (H, W) bool, the mesh.
        config: reach and costs.
    """
    # Small, continued beyond the mesh so that its outline is no edge.
    nearest = ndimage.distance_transform_edt(~shown, return_indices=True, return_distances=False)
    light, luma = (shrink_longest(image[tuple(nearest)], config.snap_size) for image in (log_light, log_luma))
    grey = np.log(np.exp(light) @ LUMA)
    paint = luma - grey
    low, high = np.quantile(paint, (0.005, 0.995))
    step = max(high - low, 1e-3) / 255
    coded = np.clip((paint - low) / step, 0, 255).astype(np.uint8)
    around = low + step * cv2.medianBlur(coded, config.snap_window).astype(np.float32)
    # The best of all offsets within reach.
    reach, (height, width) = config.snap_reach, grey.shape
    padded_grey = np.pad(grey, reach, mode="edge")
    unmoved = np.abs(paint - around)
    best, best_cost = np.zeros((height, width, 2), np.intp), unmoved.copy()
    for down, right in np.ndindex(2 * reach + 1, 2 * reach + 1):
        distance = np.hypot(down - reach, right - reach)
        if 0 < distance <= reach:
            other = padded_grey[down : down + height, right : right + width]
            rest = np.abs(luma - other - around)
            cost = rest + config.snap_cost * (1 + distance)
            better = (cost < best_cost) & (rest <= config.snap_rest * unmoved)
            best_cost[better] = cost[better]
            best[better] = down - reach, right - reach
    rows, columns = np.indices((height, width))
    moved = light[np.clip(rows + best[..., 0], 0, height - 1), np.clip(columns + best[..., 1], 0, width - 1)]
    change = cv2.medianBlur(moved.astype(np.float32), 3) - light
    return log_light + cv2.resize(change, shown.shape[::-1], interpolation=cv2.INTER_LINEAR)


def _find_reliable(
    color: np.ndarray, light: np.ndarray, inside: np.ndarray, config: LightConfig
) -> np.ndarray:
    """(H, W) bool: neither in shadow so deep that a rest of it stays, nor a highlight."""
    dark = inside & (light @ LUMA < config.darkest)
    clipped = inside & (color.max(axis=2) >= config.lamps.clipped)
    if clipped.sum() <= config.max_highlights * inside.sum():
        dark |= clipped
    reach = max(1, round(config.margin * max(inside.shape) / 480))
    return cv2.dilate(dark.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)) == 0
