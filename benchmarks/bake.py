"""Textures from damaged frames: how close every method comes to the truth, and what it costs.

    python -m benchmarks.bake [--scenes suzanne ...] [--conditions 0 1 3 ...] [--methods ours ...]
        [--pictures FOLDER] [--json FILE]

Real and procedural meshes are photographed from the two orbits of OrbitPainter (122 views), the frames are
damaged as a video model does, and each method's texture is scored against the truth from 24 cameras that are
on no orbit. The ceiling is a texture whose texels are coloured straight from the truth.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from backend.mesh.texels import locate_texels
from backend.mesh.uvs import rasterize_atlas
from backend.render.camera import horizontal_orbit, vertical_orbit
from backend.render.rasterize import render

from . import scenes
from .damage import Damage, damage_frames
from .methods import METHODS, Frames
from .report import Report, parser, peak_gigabytes, timed
from .score import HeldOut, held_out_cameras, seam_energy

ORBIT_VIEWS = 61
"""Views of each of the two orbits."""

FRAME_SIZE = 512
"""Pixels along each frame."""

TEXTURE_SIZE = 2048
"""Texels along the texture."""

SCENES = {
    "suzanne": scenes.suzanne,
    "text": scenes.text_knot,
    "spot": lambda: scenes.real_mesh("spot"),
    "fuze": lambda: scenes.real_mesh("fuze"),
}

CONDITIONS = {
    "0": Damage(0.0),
    "1": Damage(1.0),
    "3": Damage(3.0),
    "3 correlated": Damage(3.0, correlation=4.0),
    "0 soft": Damage(0.0, blur=0.4, compressed=True),
    "3 soft": Damage(3.0, blur=0.4, compressed=True),
    "3 soft correlated": Damage(3.0, correlation=4.0, blur=0.4, compressed=True),
}
"""Pixels of drift, each frame's own; ``correlated``: alike over 4 frames; ``soft``: slightly blurred, through
H.264."""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--scenes", nargs="*", default=["suzanne"], choices=list(SCENES))
    options.add_argument(
        "--conditions", nargs="*", default=["0", "1", "3", "3 correlated"], choices=list(CONDITIONS)
    )
    options.add_argument(
        "--methods", nargs="*", default=[name for name in METHODS if name != "open3d"], choices=list(METHODS)
    )
    options.add_argument(
        "--pictures", type=Path, help="folder for contact sheets of the held-out views and crops at 1:1"
    )
    chosen = options.parse_args()
    report = Report(
        ["scene", "drift", "method", "PSNR", "shift-tolerant", "SSIM", "sharpness", "seam", "s", "GB"],
        chosen.json,
    )
    for scene in (SCENES[name]() for name in chosen.scenes):
        cameras = [
            *horizontal_orbit(ORBIT_VIEWS, 1.5, 35 / 32, FRAME_SIZE).cameras,
            *vertical_orbit(ORBIT_VIEWS, 1.5, 35 / 32, FRAME_SIZE).cameras,
        ]
        buffers = render(scene.surface, cameras)
        true = [scene.photograph(camera) for camera in cameras]
        judge = HeldOut(scene, held_out_cameras())
        ceiling = ceiling_texture(scene)
        _add_row(report, scene, judge, "–", "ceiling", ceiling, None, chosen.pictures)
        for condition in chosen.conditions:
            images = damage_frames(true, [ORBIT_VIEWS, ORBIT_VIEWS], CONDITIONS[condition])
            for name in chosen.methods:
                # Nothing that one method has computed helps the next.
                frames = replace(Frames(scene.surface, buffers, images, TEXTURE_SIZE))
                with timed() as clock:
                    texture = METHODS[name](frames)
                _add_row(report, scene, judge, condition, name, texture, clock.seconds, chosen.pictures)


def ceiling_texture(scene: scenes.Scene) -> np.ndarray:
    """(S, S, 3) float32: every texel the truth's colour at its middle."""
    texels = locate_texels(scene.surface, TEXTURE_SIZE)
    weights = rasterize_atlas(scene.surface.corner_uvs, TEXTURE_SIZE)[1].reshape(-1, 2)[texels.place]
    weights = np.column_stack([weights, 1 - weights.sum(axis=1)])
    return scene.color(texels.face, weights, texels.positions)[texels.nearest]


def _add_row(
    report: Report,
    scene,
    judge: HeldOut,
    condition: str,
    name: str,
    texture: np.ndarray,
    seconds,
    pictures: Path | None,
) -> None:
    score = judge.score(texture)
    seam = seam_energy(scene.surface, texture)
    report.add(
        scene.name,
        condition,
        name,
        score.psnr,
        score.shifted,
        score.ssim,
        score.sharpness,
        seam,
        seconds,
        peak_gigabytes(),
    )
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
        shots = judge.images(texture)
        stem = "_".join((scene.name, condition, name)).replace(" ", "-").replace(",", "").replace("–", "true")
        Image.fromarray(_side_by_side(shots[3::6])).save(pictures / f"{stem}.png")
        middle = shots[9]
        height, width = (side // 2 for side in middle.shape[:2])
        Image.fromarray(middle[max(0, height - 64) : height + 64, max(0, width - 64) : width + 64]).save(
            pictures / f"{stem}_crop.png"
        )


def _side_by_side(images: list[np.ndarray]) -> np.ndarray:
    height = max(image.shape[0] for image in images)
    return np.hstack([np.pad(image, ((0, height - image.shape[0]), (0, 8), (0, 0))) for image in images])


if __name__ == "__main__":
    main()
