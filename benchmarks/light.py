"""Light in ordinary pictures: how much of it is removed, and what that does for the hidden sides.

    python -m benchmarks.light [--folder FOLDER] [--each 10] [--meshes chair ...] [--hidden 2] [--json FILE]

The pictures are those of ``benchmarks/pictures.py``, with their true cameras and masks; ``albedo`` is their
true paint. ``gain`` is by how many dB the image without light is nearer to it (PSNR of sRGB within the mask,
after one factor per channel) than the picture is, ``shade`` the same where the light is less than 0.55 of the
usual, ``nearer`` the mean of how much of the distance (root mean square) is gone. ``unlit`` is what the same
does to the albedo itself, saved as JPEG: 0 where no light is found.

``--hidden N`` also paints the first N pictures of each mesh with the draft, from the picture as it is
(``keep``), with ``automatic`` and from the unlit albedo, and compares what the picture does not show with the
truth from seven other sides: patches and colours as in ``benchmarks/draft.py``, and the mean difference, all
of 0..255 and after the factor that the front's paint gives. ``closer`` is the mean over the three of how much
closer ``automatic`` is than ``keep``. Where ``automatic`` finds no light in the unlit albedo, it paints what
``keep`` does, and that is not painted again. The draft leaves out its finest level, which takes most of its
time: the truth's views are no finer than what remains.
"""

import io
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from backend.api.settings import Settings
from backend.mesh.surface import Surface
from backend.paint.draft.fill.config import DEFAULT_CONFIG
from backend.paint.draft.image.color import LUMA, to_linear
from backend.paint.draft.image.light import remove_light
from backend.paint.draft.painter import DraftConfig, DraftPainter
from backend.paint.preview import ignore_preview
from backend.paint.reference import Reference
from backend.render.camera import Camera
from backend.render.rasterize import GBuffer, render

from .draft import hidden_part
from .pictures import picture_parser, read_surface, render_pictures
from .report import Report, timed
from .sliced_wasserstein import patch_and_color_distances

SHADE = 0.55
"""Part of the usual light below which a place is in shade."""

USUAL = 0.7
"""Quantile of the light that is the usual one."""

DRAFT = DraftConfig(
    voxel_resolution=128,
    synthesis=replace(DEFAULT_CONFIG, levels=DEFAULT_CONFIG.levels[:2], max_samples=80_000),
)
"""The draft that paints hidden sides here."""


class Picture:
    """A picture of the folder and its truth.

    Attributes:
        facts: its JSON.
        lit, albedo: references whose alpha is the true mask.
        inside: (H, W) bool, pixels that show nothing but the object.
        camera: its view.
    """

    def __init__(self, path: Path):
        self.facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        truth = np.asarray(Image.open(path.with_suffix(".albedo.png")), np.float32) / 255
        color = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
        self.lit = Reference(color, truth[..., 3])
        self.albedo = Reference(np.ascontiguousarray(truth[..., :3]), truth[..., 3])
        self.inside = truth[..., 3] > 0.99
        self.camera = read_camera(self.facts, color.shape[1])
        self.views = [
            (read_camera(view, image.shape[1]), image)
            for number, view in enumerate(self.facts.get("views", []))
            for image in [np.asarray(Image.open(path.with_name(f"{path.stem}.view{number}.png")))]
        ]


def read_camera(view: dict, size: int) -> Camera:
    """The camera of a JSON record, for square images of ``size`` pixels."""
    return Camera(
        np.array(view["rotation"]), np.array(view["position"]), view["focal"] / size, width=size, height=size
    )


def main() -> None:
    options = picture_parser(__doc__)
    options.add_argument("--hidden", type=int, default=0, help="pictures of each mesh that are painted")
    chosen = options.parse_args()
    render_pictures(chosen.folder, chosen.meshes, chosen.each, views=chosen.hidden > 0)
    columns = ["pictures", "lit dB", "gain", "worst", "shade", "nearer %", "unlit", "worst unlit", "s"]
    report = Report(["group", *columns], chosen.json)
    groups = defaultdict(list)
    for mesh in chosen.meshes:
        surface = read_surface(chosen.folder / "meshes" / f"{mesh}.npz")
        for number in range(chosen.each):
            picture = Picture(chosen.folder / f"{mesh}_{number}.jpg")
            row = measure_front(surface, picture)
            for group in ("all", picture.facts["ground"], picture.facts["paint"]):
                groups[group].append(row)
    for group, rows in groups.items():
        lit, gain, shade, unlit, seconds = np.array(rows, float).T
        nearer = 100 * float(np.mean(1 - 10 ** (-gain / 20)))
        means = lit.mean(), gain.mean(), gain.min(), np.nanmean(shade), nearer, unlit.mean(), unlit.min()
        report.add(group, len(rows), *map(float, means), float(np.median(seconds)))
    if chosen.hidden:
        report_hidden(chosen.folder, chosen.meshes, chosen.hidden, chosen.json)


def report_hidden(folder: Path, meshes: list[str], each: int, json_file: Path | None) -> None:
    """The table of hidden sides; its JSON lies beside the first table's."""
    file = json_file and json_file.with_stem(json_file.stem + "_hidden")
    report = Report(["picture", "painted from", "patches", "colour", "difference", "closer %"], file)
    means = defaultdict(list)
    for mesh in meshes:
        surface = read_surface(folder / "meshes" / f"{mesh}.npz")
        for number in range(each):
            picture = Picture(folder / f"{mesh}_{number}.jpg")
            measures = measure_variants(surface, picture)
            for name, values in measures.items():
                base = measures["unlit" if name.startswith("unlit") else "keep"]
                closer = 100 * (1 - np.mean(np.divide(values, np.maximum(base, 1e-6))))
                row = (*values, float(closer))
                report.add(f"{mesh}_{number}", name, *row)
                means[name].append(row)
    for name, rows in means.items():
        report.add("mean", name, *map(float, np.mean(rows, axis=0)))


def measure_front(surface: Surface, picture: Picture) -> tuple:
    """dB of the picture, what is gained all over and in shade, what the unlit picture loses, and seconds."""
    truth, inside = picture.albedo.color, picture.inside
    with timed() as clock:
        found = remove_light(picture.lit, picture.camera, surface).color
    light = (to_linear(picture.lit.color) @ LUMA) / np.maximum(to_linear(truth) @ LUMA, 1e-3)
    shade = inside & (light < SHADE * np.quantile(light[inside], USUAL))
    before, after = (
        [paint_psnr(image, truth, inside, where) for where in (inside, shade)]
        for image in (picture.lit.color, found)
    )
    unlit = Reference(save_as_jpeg(truth), picture.albedo.alpha)
    changed = remove_light(unlit, picture.camera, surface).color
    loss = paint_psnr(changed, truth, inside, inside) - paint_psnr(unlit.color, truth, inside, inside)
    in_shade = after[1] - before[1] if shade.sum() > 200 else np.nan
    return before[0], after[0] - before[0], in_shade, loss, clock.seconds


def paint_factor(image: np.ndarray, truth: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(3,) by which an image has to be multiplied to be like the truth, (H, W, 3) each, within a mask."""
    return (image[inside] * truth[inside]).sum(axis=0) / np.maximum(
        np.square(image[inside]).sum(axis=0), 1e-6
    )


def paint_psnr(image: np.ndarray, truth: np.ndarray, inside: np.ndarray, where: np.ndarray) -> float:
    """dB over pixels ``where``, after the factor within the mask."""
    scaled = image[where] * paint_factor(image, truth, inside)
    return float(-10 * np.log10(np.square(scaled - truth[where]).sum() / max(scaled.size, 1) + 1e-9))


def save_as_jpeg(color: np.ndarray) -> np.ndarray:
    """An image (H, W, 3) float32 as it comes out of a JPEG file of quality 92."""
    file = io.BytesIO()
    Image.fromarray(np.round(255 * color).astype(np.uint8)).save(file, "JPEG", quality=92)
    return np.asarray(Image.open(file), np.float32) / 255


def measure_variants(surface: Surface, picture: Picture) -> dict[str, tuple]:
    """Per way of painting, what :func:`measure_hidden` says of it."""
    cameras = [picture.camera, *(camera for camera, _ in picture.views)]
    buffers = render(surface, cameras)
    masks = [
        hidden_part(surface, buffer, buffers[0]) & (image[..., 3] > 250)
        for buffer, (_, image) in zip(buffers[1:], picture.views, strict=True)
    ]
    found = remove_light(picture.lit, picture.camera, surface).color
    measures = {
        name: measure_hidden(surface, picture, buffers, masks, reference, front, light)
        for name, reference, front, light in (
            ("keep", picture.lit, picture.lit.color, "keep"),
            ("automatic", picture.lit, found, "automatic"),
            ("unlit", picture.albedo, picture.albedo.color, "keep"),
        )
    }
    unlit = remove_light(picture.albedo, picture.camera, surface)
    measures["unlit, automatic"] = (
        measures["unlit"]
        if unlit.irradiance is None
        else measure_hidden(surface, picture, buffers, masks, picture.albedo, unlit.color, "automatic")
    )
    return measures


def measure_hidden(
    surface: Surface,
    picture: Picture,
    buffers: list[GBuffer],
    masks: list[np.ndarray],
    reference: Reference,
    front: np.ndarray,
    light: str,
) -> tuple:
    """Patches, colour and mean difference between the hidden parts of the draft and the truth.

    Args:
        surface: the mesh.
        picture: that is painted, with the truth.
        buffers: of its camera and its views'.
        masks: (H, W) bool per view, what is compared.
        reference: the image that is painted from.
        front: (H, W, 3) float32, its paint as the draft knows it: gives the factor.
        light: the setting.
    """
    painting = DraftPainter(DRAFT).paint(
        surface, buffers, reference, Settings(light=light), _ignore_progress, _run_now, ignore_preview
    )
    factor = paint_factor(front, picture.albedo.color, picture.inside)
    frames = [np.clip(frame * factor, 0, 255) for frame in painting.frames[1:]]
    truth = [image[..., :3] for _, image in picture.views]
    difference = np.concatenate(
        [np.abs(frame - true)[mask].ravel() for frame, true, mask in zip(frames, truth, masks, strict=True)]
    )
    return *patch_and_color_distances(truth, masks, frames, masks), float(difference.mean())


def _ignore_progress(fraction: float) -> None:
    pass


def _run_now(name: str, work):
    return work()


if __name__ == "__main__":
    main()
