"""Textures from several pictures of an object: how true is the whole surface?

    python -m benchmarks.several_pictures [--scenes suzanne ...] [--counts 1 2 4 6] [--conditions clean ai]
        [--methods ours ...] [--pictures FOLDER] [--json FILE]

Objects whose paint is known are photographed from the front, the back, both flanks, the top and the bottom.
``clean`` pictures are as they are; ``ai`` pictures are as image models make them: each is drawn 3 pixels off
by a smooth warp, has an exposure, a white balance and a light of its own, and only the first has neither warp
nor tone. Textures are compared with the truth from 24 cameras all around (``score.py``).

``ours`` is a job of the draft: it finds the views itself, and paints what no picture shows. The others get
the true cameras: ``incidence blend``, ``best view`` and ``graph cut`` are those of ``bake.py``. The ceiling
is what the frames allow: every texel that some picture sees has the colour, of all that see it, that is
nearest to the truth, in pictures with the warp but without the change of tone and light; what none sees is
as ours.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from PIL import Image

from backend.api.job import Job, MeshData
from backend.api.picture import Picture
from backend.api.settings import Settings
from backend.bake.texel_colors import color_from_views
from backend.mesh.texels import locate_texels, to_atlas
from backend.mesh.uvs import rasterize_atlas
from backend.paint.draft.image.color import to_linear, to_srgb
from backend.pipeline import run_until
from backend.render.camera import Camera, look_at_origin
from backend.render.rasterize import GBuffer, normals, render
from backend.render.visibility import observe
from backend.stages import StageRunner, progress_shares

from . import methods, scenes
from .report import Report, parser, timed
from .score import HeldOut, held_out_cameras, seam_energy

SIZE = 768
"""Pixels along each picture."""

TEXTURE_SIZE = 1024
"""Texels along the texture."""

DIRECTIONS = ((15, 8), (195, 8), (105, 8), (285, 8), (10, 75), (10, -60))
"""Azimuth and elevation of the pictures, degrees."""

SCENES = {
    "suzanne": scenes.suzanne,
    "spot": partial(scenes.real_mesh, "spot"),
    "fuze": partial(scenes.real_mesh, "fuze"),
}

NAIVE = {
    "incidence blend": methods.incidence_blend,
    "best view": methods.best_view,
    "graph cut": methods.graph_cut_texels,
}
"""Methods that take frames and their cameras."""

WARP, WARP_CELLS = 3.0, 6
"""Root mean square length in pixels of the warps, and their control points along a side."""

MIN_COSINE, MIN_EDGE = 0.1, 2.0
"""Cosine between surface and view, and pixels from an edge, from which on the ceiling reads a picture."""

EXPOSURE, WHITE_BALANCE, SHADE = 0.25, 0.08, 0.5
"""Standard deviations of the logarithms of exposure and white balance, and how much darker the side is that a
picture's light does not reach."""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--scenes", nargs="*", default=list(SCENES), choices=list(SCENES))
    options.add_argument("--counts", nargs="*", type=int, default=[1, 2, 4, 6])
    options.add_argument("--conditions", nargs="*", default=["clean", "ai"], choices=["clean", "ai"])
    options.add_argument("--methods", nargs="*", default=["ours", *NAIVE, "ceiling"])
    options.add_argument("--pictures", type=Path, help="folder for pictures of the held-out views")
    chosen = options.parse_args()
    columns = [
        "scene",
        "pictures",
        "condition",
        "method",
        "PSNR",
        "shift-tolerant",
        "SSIM",
        "sharpness",
        "seam",
    ]
    report = Report([*columns, "s"], chosen.json)
    for scene in (fit_uvs(SCENES[name]()) for name in chosen.scenes):
        cameras = [picture_camera(*direction) for direction in DIRECTIONS[: max(chosen.counts)]]
        buffers = render(scene.surface, cameras)
        true = [scene.photograph(camera) for camera in cameras]
        judge = HeldOut(scene, held_out_cameras())
        for condition in chosen.conditions:
            drawn = [
                (
                    draw_as_model(image, buffer, scene, number)
                    if condition == "ai" and number
                    else (image, image)
                )
                for number, (image, buffer) in enumerate(zip(true, buffers, strict=True))
            ]
            for count in chosen.counts:
                textures = {}
                for name in chosen.methods:
                    with timed() as clock:
                        textures[name] = make_texture(
                            name, scene, buffers[:count], drawn[:count], textures.get("ours")
                        )
                    score = judge.score(textures[name])
                    report.add(
                        scene.name,
                        count,
                        condition,
                        name,
                        score.psnr,
                        score.shifted,
                        score.ssim,
                        score.sharpness,
                        seam_energy(scene.surface, textures[name]),
                        None if name == "ceiling" else clock.seconds,
                    )
                    if chosen.pictures:
                        stem = f"{scene.name}_{count}_{condition}_{name}".replace(" ", "-")
                        save_views(judge, textures[name], chosen.pictures / f"{stem}.png")


def fit_uvs(scene: scenes.Scene) -> scenes.Scene:
    """The scene with UVs inside the unit square."""
    uvs = scene.surface.corner_uvs
    low, high = uvs.min(), uvs.max()
    if low < 0 or high > 1:
        uvs = ((uvs - low + 0.01) / (high - low + 0.02)).astype(np.float32)
    return replace(scene, surface=replace(scene.surface, corner_uvs=uvs))


def picture_camera(azimuth: float, elevation: float) -> Camera:
    rotation = look_at_origin(azimuth, elevation)
    return Camera(rotation, 2.2 * rotation[:, 2], 1.5, width=SIZE, height=SIZE)


def draw_as_model(
    image: np.ndarray, buffer: GBuffer, scene: scenes.Scene, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """A picture (H, W, 3) sRGB 0..255 as an image model would draw it, and the same with the warp alone."""
    random = np.random.default_rng(number)
    warp = cv2.resize(
        random.normal(size=(WARP_CELLS, WARP_CELLS, 2)).astype(np.float32),
        (SIZE, SIZE),
        interpolation=cv2.INTER_CUBIC,
    )
    warp *= WARP / np.sqrt(np.square(warp).sum(axis=2).mean())
    row, column = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    warped = cv2.remap(image, column + warp[..., 0], row + warp[..., 1], cv2.INTER_LINEAR)
    light = look_at_origin(*random.uniform((-180, 10), (180, 60)))[:, 2]
    shade = 1 - SHADE * np.clip(0.5 - normals(buffer, scene.surface) @ light, 0, 1)
    gain = np.exp(random.normal(0, EXPOSURE) + random.normal(0, WHITE_BALANCE, 3))
    linear = to_linear(np.clip(warped / 255, 0, 1)) * shade[..., None] * gain
    return 255 * to_srgb(np.clip(linear, 0, 1)), warped


def make_texture(
    name: str,
    scene: scenes.Scene,
    buffers: list[GBuffer],
    drawn: list[tuple[np.ndarray, np.ndarray]],
    own: np.ndarray | None,
) -> np.ndarray:
    """(S, S, 3) float32 sRGB 0..255: the texture that a method makes of pictures, each as it was drawn and
    with its warp alone; ``own`` is ours, if that was made."""
    if name == "ours":
        return run_job(scene, buffers, [image for image, _ in drawn])
    if name == "ceiling":
        return best_of_frames(scene, buffers, [warped for _, warped in drawn], own)
    images = [np.clip(np.round(image), 0, 255).astype(np.uint8) for image, _ in drawn]
    return NAIVE[name](methods.Frames(scene.surface, buffers, images, TEXTURE_SIZE))


def run_job(scene: scenes.Scene, buffers: list[GBuffer], images: list[np.ndarray]) -> np.ndarray:
    """The texture of a job with cut-out pictures, whose views it finds."""
    pictures = [
        Picture(np.dstack([np.clip(np.round(image), 0, 255), 255 * buffer.mask]).astype(np.uint8))
        for image, buffer in zip(images, buffers, strict=True)
    ]
    surface = scene.surface
    mesh = MeshData(surface.vertices, surface.faces, corner_uvs=surface.corner_uvs)
    job = Job(
        "0" * 32,
        scene.name,
        mesh,
        pictures[0].image,
        Settings(texture_size=TEXTURE_SIZE),
        more=tuple(pictures[1:]),
    )
    with TemporaryDirectory() as folder:
        state = run_until(job, StageRunner(Path(folder), lambda *_: None, progress_shares(job)))
    assert not state.surface.unwrapped, "The texture is on other UVs than the scene's."
    return state.texture.base_color.astype(np.float32)


def best_of_frames(
    scene: scenes.Scene, buffers: list[GBuffer], images: list[np.ndarray], own: np.ndarray | None
) -> np.ndarray:
    """The texture that no choice among frames can better."""
    frames = methods.Frames(
        scene.surface,
        buffers,
        [np.clip(np.round(image), 0, 255).astype(np.uint8) for image in images],
        TEXTURE_SIZE,
    )
    texels = locate_texels(scene.surface, TEXTURE_SIZE)
    weights = rasterize_atlas(scene.surface.corner_uvs, TEXTURE_SIZE)[1].reshape(-1, 2)[texels.place]
    truth = scene.color(
        texels.face, np.column_stack([weights, 1 - weights.sum(axis=1)]), texels.positions
    ).astype(np.float32)
    best = np.full((len(texels), 3), 128, np.float32) if own is None else own.reshape(-1, 3)[texels.place]
    error = np.full(len(texels), np.inf)
    views, colors = frames.unaligned.views, frames.unaligned.colors
    for number, buffer in enumerate(buffers):
        cosine, edge = observe(
            texels.positions,
            texels.normals,
            buffer,
            frames.painted.edges[number],
            frames.painted.winding[texels.face],
        )
        chosen = np.where((cosine > MIN_COSINE) & (edge > MIN_EDGE), number, -1)
        values, read = color_from_views(texels, chosen, scene.surface, buffers, views, colors)
        distance = np.where(read, np.square(values - truth).sum(axis=1), np.inf)
        nearer = distance < error
        best[nearer], error[nearer] = values[nearer], distance[nearer]
    return to_atlas(texels, best).astype(np.float32)


def save_views(judge: HeldOut, texture: np.ndarray, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    shots = judge.images(texture)[3::4]
    height = max(shot.shape[0] for shot in shots)
    Image.fromarray(
        np.hstack([np.pad(shot, ((0, height - shot.shape[0]), (0, 8), (0, 0))) for shot in shots])
    ).save(file)


if __name__ == "__main__":
    main()
