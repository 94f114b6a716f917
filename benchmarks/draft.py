"""The draft painter's hidden sides: how close they come to the truth, beside what needs no synthesis.

    python -m benchmarks.draft [--scenes pot ...] [--pictures FOLDER] [--json FILE]

A textured mesh is photographed once, a little from the side of its front; that is the reference. Everything
that the photograph does not show is compared with the truth, in 8 views around and over the mesh: patches of
7 x 7 pixels at three scales, and colours, both as distributions (sliced Wasserstein distance, Rabin et al.
2011), because a hidden side cannot be guessed but can look like the object. 0 is the truth.

Fine structure alone is easily had by noise, and colour alone by one grey, so both are reported. ``closer`` is
the mean of how much closer ours is than the best of the baselines in either: each measure is held against the
baseline that is best at that one. The frames are baked as a job bakes them, and the textured mesh, seen as
the reference was taken, is compared with it by PSNR (the reference's own frame is the picture itself): over
what is not hidden, and over all. Seconds are of painting alone, by the clock and of all cores together; a
first run compiles, so run it twice.
"""

import multiprocessing
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from backend.align.align import align
from backend.api.settings import Settings
from backend.bake.bake import bake
from backend.mesh.surface import Surface
from backend.paint.draft.painter import DraftPainter
from backend.paint.painter import Painting
from backend.paint.preview import ignore_preview
from backend.paint.reference import decode
from backend.render.camera import Camera, horizontal_orbit, look_at_origin, vertical_orbit
from backend.render.photograph import photograph, wearing
from backend.render.rasterize import GBuffer, rasterize, render, seen_points
from backend.render.visibility import edge_distance, edge_distances, facing, observe

from . import props, scenes
from .draft_baselines import BASELINES
from .report import Report, parser, peak_gigabytes, timed
from .sliced_wasserstein import distances

SCENES = {
    "suzanne": scenes.suzanne,
    "pot": props.striped_pot,
    "text-box": props.text_box,
    "plaid-knot": props.plaid_knot,
    "spot": lambda: scenes.real_mesh("spot"),
    "fuze": lambda: scenes.real_mesh("fuze"),
}

AZIMUTH, ELEVATION, REFERENCE, VIEWS, SIZE = 30, 15, 768, 61, 512
"""The reference's view, the same for all, and the orbits' frames."""

EVERY = 16
"""Of the frames of both orbits, so many are compared: one of EVERY."""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--scenes", nargs="*", default=list(SCENES), choices=list(SCENES))
    options.add_argument(
        "--pictures", type=Path, help="folder for a contact sheet per scene: ours above the truth"
    )
    chosen = options.parse_args()
    report = Report(
        [
            "scene",
            "painter",
            "patches",
            "colour",
            "closer %",
            "PSNR not hidden",
            "PSNR all",
            "s",
            "core s",
            "GB",
        ],
        chosen.json,
    )
    gains = []
    for name in chosen.scenes:
        # A process each: the memory is that of one scene.
        with multiprocessing.get_context("fork").Pool(1) as pool:
            rows = pool.apply(measure, (name, chosen.pictures))
        for row in rows:
            report.add(name, *row)
        gains.append(rows[-1][3])
    report.add("mean", "ours", None, None, float(np.mean(gains)), None, None, None, None, None)


def measure(name: str, pictures: Path | None) -> list[tuple]:
    """Rows of one scene: the baselines, ours."""
    scene = SCENES[name]()
    cameras = orbit_cameras()
    reference = photographed(scene, cameras[0])
    buffers = render(scene.surface, cameras)
    before = time.process_time()
    with timed() as clock:
        painting = DraftPainter().paint(
            scene.surface, buffers, reference, Settings(), _quiet, _at_once, ignore_preview
        )
    cores, memory = time.process_time() - before, peak_gigabytes()
    compared = range(1 + EVERY // 2, len(cameras), EVERY)
    truth = [scene.photograph(cameras[view], 2) for view in compared]
    hidden = [hidden_part(scene.surface, buffers[view], buffers[0]) for view in compared]
    rows = []
    for label, baseline in BASELINES.items():
        frames = baseline(scene.surface, buffers[0], reference, [buffers[view] for view in compared])
        rows.append((label, *distances(truth, hidden, frames, hidden), None, None, None, None, None, None))
    ours = distances(truth, hidden, [painting.frames[view] for view in compared], hidden)
    best = [min(row[measure] for row in rows) for measure in (1, 2)]
    closer = float(np.mean([100 * (1 - own / other) for own, other in zip(ours, best, strict=True)]))
    baked, whole = textured(scene.surface, buffers, painting, cameras[0]), reference.alpha > 0.99
    glancing = hidden_part(scene.surface, buffers[0], buffers[0])
    likeness = [reference_psnr(baked, reference, shown) for shown in (whole & ~glancing, whole)]
    rows.append(("ours", *ours, closer, *likeness, clock.seconds, cores, memory))
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sheet(painting.frames, scene, cameras)).save(
            pictures / f"draft_{name}.jpg", quality=85
        )
    return rows


def orbit_cameras() -> list[Camera]:
    """The reference's camera, then two orbits as OrbitPainter's, from the reference's azimuth on."""
    rotation = look_at_origin(AZIMUTH, ELEVATION)
    front = Camera(rotation, 2.4 * rotation[:, 2], 1.7, width=REFERENCE, height=REFERENCE)
    around, over = (
        orbit(VIEWS, 1.8, 1.3, SIZE, AZIMUTH).cameras for orbit in (horizontal_orbit, vertical_orbit)
    )
    return [front, *around, *over]


def photographed(scene: scenes.Scene, camera: Camera):
    """The reference: the truth, cut out, at its rim without the background's colour."""
    fine = replace(camera, width=3 * camera.width, height=3 * camera.height)
    mask = rasterize(scene.surface.vertices, scene.surface.faces, fine).mask
    alpha = mask.reshape(camera.height, 3, camera.width, 3).mean(axis=(1, 3))[..., None]
    return decode(
        np.round(np.dstack([scene.photograph(camera) / np.maximum(alpha, 1 / 9), 255 * alpha])).astype(
            np.uint8
        )
    )


def hidden_part(surface: Surface, buffer: GBuffer, reference: GBuffer) -> np.ndarray:
    """(H, W) bool: the pixels of a view whose surface the reference does not show, or only at a glancing
    angle."""
    normals = surface.face_normals[buffer.face[buffer.mask]]
    cosine, _ = observe(seen_points(buffer), normals, reference, edge_distance(reference), 0)
    result = np.zeros(buffer.mask.shape, bool)
    result[buffer.mask] = cosine < 0.1
    return result


def textured(surface: Surface, buffers: list[GBuffer], painting: Painting, camera: Camera) -> np.ndarray:
    """(H, W, 3) float32 sRGB 0..255: the surface under the texture that the frames are baked to."""
    edges, side = edge_distances(buffers), facing(surface, buffers)
    alignment = align(surface, buffers, edges, painting.frames, painting.preference, side, _quiet, ())
    settings = Settings()
    texture = bake(
        surface,
        buffers,
        edges,
        alignment,
        painting.preference,
        side,
        settings.texture_size,
        settings.voxel_resolution,
        settings.seed,
        _quiet,
    )
    return photograph(
        surface, wearing(surface.corner_uvs, [texture.base_color], np.zeros(len(surface.faces), int)), camera
    )


def reference_psnr(frame: np.ndarray, reference, shown: np.ndarray) -> float:
    """dB, over some pixels (H, W) bool."""
    return float(-10 * np.log10(max(np.square(frame[shown] / 255 - reference.color[shown]).mean(), 1e-9)))


def sheet(
    frames: list[np.ndarray], scene: scenes.Scene, cameras: list[Camera], tile: int = 240
) -> np.ndarray:
    """(H, W, 3) uint8: above, the reference's view and seven of ours all around; below, the truth."""
    chosen = [
        0,
        *(1 + round(VIEWS * share) for share in (1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6)),
        *(1 + VIEWS + round(VIEWS * share) for share in (0.3, 0.8)),
    ]
    ours, true = (
        [
            np.asarray(
                Image.fromarray(np.round(image).astype(np.uint8)).resize(
                    (tile, tile), Image.Resampling.LANCZOS
                )
            )
            for image in images
        ]
        for images in (
            [frames[view] for view in chosen],
            [scene.photograph(cameras[view], 2) for view in chosen],
        )
    )
    return np.vstack([np.hstack(ours), np.full((4, tile * len(chosen), 3), 255, np.uint8), np.hstack(true)])


def _quiet(fraction: float) -> None:
    pass


def _at_once(part: str, work):
    return work()


if __name__ == "__main__":
    main()
