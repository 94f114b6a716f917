"""The draft painter's hidden sides: how close they come to the truth, compared with baselines without
synthesis.

    python -m benchmarks.draft [--scenes pot ...] [--pictures FOLDER] [--json FILE]

A textured mesh is photographed once, a little from the side of its front; that is the reference. Everything
that the photograph does not show is compared with the truth, in 8 views around and over the mesh: patches of
7 x 7 pixels at three scales, and colours, both as distributions (sliced Wasserstein distance, Rabin et al.
2011), because a hidden side cannot be guessed but can look like the object. 0 is the truth.

Noise alone has fine structure, and a single grey has colour, so both are reported. ``closer`` is the mean
over both measures of how much closer ours is than the baseline that is best at that measure. The frames are
baked as in a job, and the textured mesh, seen from the reference's camera, is compared with the reference by
PSNR (its own frame is the image itself): over what is not hidden, and over all. Seconds are of painting
alone, by the clock and of all cores together; a first run compiles, so run it twice.
"""

import multiprocessing
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from backend.align.align import AlignConfig, align
from backend.api.settings import Settings
from backend.bake.bake import bake
from backend.fuse.observations import PaintedViews
from backend.mesh.surface import Surface
from backend.paint.draft.painter import DraftPainter
from backend.paint.painter import Painting
from backend.paint.preview import ignore_preview
from backend.paint.reference import Reference, decode
from backend.render.camera import Camera, horizontal_orbit, look_at_origin, vertical_orbit
from backend.render.photograph import photograph, texture_lookup
from backend.render.rasterize import GBuffer, rasterize, render, visible_points
from backend.render.visibility import edge_distance, observe

from . import props, scenes
from .draft_baselines import BASELINES
from .report import Report, parser, peak_gigabytes, timed
from .sliced_wasserstein import patch_and_color_distances

SCENES = {
    "suzanne": scenes.suzanne,
    "pot": props.striped_pot,
    "text-box": props.text_box,
    "plaid-knot": props.plaid_knot,
    "spot": lambda: scenes.real_mesh("spot"),
    "fuze": lambda: scenes.real_mesh("fuze"),
}

AZIMUTH = 30
"""Degrees to the side of the front from which the reference is taken."""

ELEVATION = 15
"""Degrees above the horizon from which the reference is taken."""

REFERENCE_SIZE = 768
"""Pixels along the sides of the reference."""

ORBIT_VIEWS = 61
"""Views of each orbit."""

ORBIT_SIZE = 512
"""Pixels along the sides of the orbits' frames."""

COMPARE_EVERY = 16
"""One frame of this many is compared with the truth."""


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
    """Rows of one scene: of the baselines, then ours."""
    scene = SCENES[name]()
    cameras = orbit_cameras()
    reference = photograph_reference(scene, cameras[0])
    buffers = render(scene.surface, cameras)
    # Paint.
    before = time.process_time()
    with timed() as clock:
        painting = DraftPainter().paint(
            scene.surface, buffers, reference, Settings(), _ignore_progress, _run_now, ignore_preview
        )
    cores, memory = time.process_time() - before, peak_gigabytes()
    # Compare the hidden sides with the truth, ours and those of the baselines.
    compared = range(1 + COMPARE_EVERY // 2, len(cameras), COMPARE_EVERY)
    truth = [scene.photograph(cameras[view], 2) for view in compared]
    hidden = [hidden_part(scene.surface, buffers[view], buffers[0]) for view in compared]
    rows = []
    for label, baseline in BASELINES.items():
        frames = baseline(scene.surface, buffers[0], reference, [buffers[view] for view in compared])
        rows.append(
            (
                label,
                *patch_and_color_distances(truth, hidden, frames, hidden),
                None,
                None,
                None,
                None,
                None,
                None,
            )
        )
    ours = patch_and_color_distances(truth, hidden, [painting.frames[view] for view in compared], hidden)
    best = [min(row[column] for row in rows) for column in (1, 2)]
    closer = float(np.mean([100 * (1 - own / other) for own, other in zip(ours, best, strict=True)]))
    # Bake, and compare what the reference shows.
    baked, whole = bake_and_photograph(scene.surface, buffers, painting, cameras[0]), reference.alpha > 0.99
    glancing = hidden_part(scene.surface, buffers[0], buffers[0])
    likeness = [reference_psnr(baked, reference, shown) for shown in (whole & ~glancing, whole)]
    rows.append(("ours", *ours, closer, *likeness, clock.seconds, cores, memory))
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
        Image.fromarray(contact_sheet(painting.frames, scene, cameras)).save(
            pictures / f"draft_{name}.jpg", quality=85
        )
    return rows


def orbit_cameras() -> list[Camera]:
    """The reference's camera, then two orbits as OrbitPainter's, from the reference's azimuth on."""
    rotation = look_at_origin(AZIMUTH, ELEVATION)
    front = Camera(rotation, 2.4 * rotation[:, 2], 1.7, width=REFERENCE_SIZE, height=REFERENCE_SIZE)
    around, over = (
        orbit(ORBIT_VIEWS, 1.8, 1.3, ORBIT_SIZE, AZIMUTH).cameras
        for orbit in (horizontal_orbit, vertical_orbit)
    )
    return [front, *around, *over]


def photograph_reference(scene: scenes.Scene, camera: Camera) -> Reference:
    """The reference: the truth, cut out, without the background's colour at its outline."""
    fine = replace(camera, width=3 * camera.width, height=3 * camera.height)
    mask = rasterize(scene.surface.vertices, scene.surface.faces, fine).mask
    alpha = mask.reshape(camera.height, 3, camera.width, 3).mean(axis=(1, 3))[..., None]
    pixels = np.dstack([scene.photograph(camera) / np.maximum(alpha, 1 / 9), 255 * alpha])
    return decode(np.round(pixels).astype(np.uint8))


def hidden_part(surface: Surface, buffer: GBuffer, reference: GBuffer) -> np.ndarray:
    """(H, W) bool: the pixels of a view whose surface the reference does not show, or only at a glancing
    angle."""
    normals = surface.face_normals[buffer.face[buffer.mask]]
    cosine, _ = observe(visible_points(buffer), normals, reference, edge_distance(reference), 0)
    result = np.zeros(buffer.mask.shape, bool)
    result[buffer.mask] = cosine < 0.1
    return result


def bake_and_photograph(
    surface: Surface, buffers: list[GBuffer], painting: Painting, camera: Camera
) -> np.ndarray:
    """(H, W, 3) float32 sRGB 0..255: the surface with the texture that is baked from the frames."""
    painted = PaintedViews.of(surface, buffers, painting.preference)
    alignment = align(surface, painted, painting.frames, _ignore_progress, AlignConfig(rounds=()))
    settings = Settings()
    texture = bake(
        surface,
        painted,
        alignment,
        settings.texture_size,
        settings.voxel_resolution,
        settings.seed,
        _ignore_progress,
    )
    return photograph(
        surface,
        texture_lookup(surface.corner_uvs, [texture.base_color], np.zeros(len(surface.faces), int)),
        camera,
    )


def reference_psnr(frame: np.ndarray, reference: Reference, shown: np.ndarray) -> float:
    """dB between a frame (H, W, 3) 0..255 and the reference, over pixels (H, W) bool."""
    return float(-10 * np.log10(max(np.square(frame[shown] / 255 - reference.color[shown]).mean(), 1e-9)))


def contact_sheet(
    frames: list[np.ndarray], scene: scenes.Scene, cameras: list[Camera], tile: int = 240
) -> np.ndarray:
    """(H, W, 3) uint8 contact sheet: in the upper row the reference's view and seven of ours all around, in
    the lower row the truth."""
    chosen = [
        0,
        *(1 + round(ORBIT_VIEWS * turn) for turn in (1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6)),
        *(1 + ORBIT_VIEWS + round(ORBIT_VIEWS * turn) for turn in (0.3, 0.8)),
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


def _ignore_progress(fraction: float) -> None:
    pass


def _run_now(name: str, work):
    return work()


if __name__ == "__main__":
    main()
