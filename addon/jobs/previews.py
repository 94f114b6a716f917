"""The small pictures of jobs at work, as icons that a panel can draw."""

import bpy.utils.previews
import numpy as np

_icons: "bpy.utils.previews.ImagePreviewCollection | None" = None
_of_job: dict[str, list[int]] = {}


def take(job: str, pictures: np.ndarray) -> None:
    """Keeps the pictures (N, S, S, 3) uint8 sRGB of a job in place of those before."""
    ids = []
    for number, picture in enumerate(pictures):
        name = f"{job}.{number}"
        icon = _icons[name] if name in _icons else _icons.new(name)
        icon.image_size = picture.shape[1::-1]
        icon.image_pixels_float.foreach_set(pixels(picture))
        ids.append(icon.icon_id)
    _of_job[job] = ids


def pixels(picture: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) uint8 as the pixels (H * W * 4,) float32 of Blender's previews, whose rows run
    upwards."""
    rgba = np.ones((*picture.shape[:2], 4), np.float32)
    rgba[..., :3] = picture[::-1] / np.float32(255)
    return rgba.ravel()


def icons(job: str) -> list[int]:
    """The icons of a job's pictures, none if it has shown nothing."""
    return _of_job.get(job, [])


def drop(job: str) -> None:
    """Lets a job's pictures go."""
    _of_job.pop(job, None)
    for name in [name for name in _icons if name.startswith(f"{job}.")]:
        del _icons[name]


def register() -> None:
    global _icons
    _icons = bpy.utils.previews.new()


def unregister() -> None:
    bpy.utils.previews.remove(_icons)
    _of_job.clear()
