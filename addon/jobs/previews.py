"""The preview images of running jobs, as icons that a panel can draw."""

from collections.abc import Iterable

import bpy.utils.previews
import numpy as np

_icons: "bpy.utils.previews.ImagePreviewCollection | None" = None
_ids_by_job: dict[str, list[int]] = {}


def store(job: str, images: Iterable[np.ndarray]) -> None:
    """Keeps preview images of a job in place of its earlier ones: (H, W, 3) uint8 sRGB, or (H, W, 4) with
    straight alpha."""
    ids = []
    for number, image in enumerate(images):
        name = f"{job}.{number}"
        icon = _icons[name] if name in _icons else _icons.new(name)
        icon.image_size = image.shape[1::-1]
        icon.image_pixels_float.foreach_set(to_preview_pixels(image))
        ids.append(icon.icon_id)
    _ids_by_job[job] = ids


def to_preview_pixels(image: np.ndarray) -> np.ndarray:
    """An image (H, W, 3 or 4) uint8 as the pixels (H * W * 4,) float32 of Blender's previews, whose first row
    is the lowest."""
    rgba = np.ones((*image.shape[:2], 4), np.float32)
    rgba[..., : image.shape[2]] = image[::-1] / np.float32(255)
    return rgba.ravel()


def icon_ids(job: str) -> list[int]:
    """The icons of a job's preview images; empty before its first preview."""
    return _ids_by_job.get(job, [])


def discard(job: str) -> None:
    """Frees a job's preview images."""
    _ids_by_job.pop(job, None)
    for name in [name for name in _icons if name.startswith(f"{job}.")]:
        del _icons[name]


def register() -> None:
    global _icons
    _icons = bpy.utils.previews.new()


def unregister() -> None:
    bpy.utils.previews.remove(_icons)
    _ids_by_job.clear()
