"""A repainted region shows something else than before, and something else with each seed."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import trimesh

from backend.api.settings import Settings
from backend.bake.region import Earlier, blend_region, describe_repaint
from backend.mesh.texels import locate_texels
from backend.paint.draft.fill.config import DEFAULT_CONFIG
from backend.paint.draft.painter import DraftConfig, DraftPainter
from backend.paint.preview import ignore_preview
from backend.paint.reference import decode
from backend.render.rasterize import render
from tests.meshes import bake_frames, camera_at, ignore_progress, reference_image, run_at_once, surface_of

SIZE = 256
"""Texels along the sides of the textures."""

LEVELS = zip(DEFAULT_CONFIG.levels, (32, 54), strict=False)

QUICK = DraftConfig(
    voxel_resolution=64,
    synthesis=replace(DEFAULT_CONFIG, levels=DEFAULT_CONFIG.levels[:2], max_samples=20_000),
)


class Draft:
    """A mesh with its views, a reference from azimuth 30, and the texture that the draft makes of it."""

    def __init__(self, mesh: trimesh.Trimesh):
        self.surface = surface_of(mesh)
        cameras = [camera_at(30, 10, 256), *(camera_at(angle, 15, 128) for angle in range(0, 360, 60))]
        self.buffers = render(self.surface, cameras)
        self.image = reference_image(self.surface, cameras[0])
        self.first = self.paint(self.image, 0)

    def paint(self, image: np.ndarray, seed: int, region: np.ndarray | None = None, earlier=None):
        """The texture that a job makes of an image (H, W, 4) uint8, of the faces ``region`` (F,) only if they
        are given, on top of ``earlier``."""
        kept = None if region is None else Earlier({"base_color": earlier.base_color}, region)
        painting = DraftPainter(QUICK).paint(
            self.surface,
            self.buffers,
            decode(image),
            Settings(seed=seed, texture_size=1024, light="keep"),
            ignore_progress,
            run_at_once,
            ignore_preview,
            None if kept is None else describe_repaint(self.surface, kept),
        )
        texture = bake_frames(self.surface, self.buffers, painting.frames, painting.preference, SIZE, 64)
        return texture if kept is None else blend_region(self.surface, texture, kept, ignore_progress)

    def facing(self, azimuth: float) -> np.ndarray:
        """(F,) bool, the job's faces that are turned to an azimuth."""
        normal = trimesh.Trimesh(self.surface.vertices, self.surface.faces, process=False).face_normals
        faces = np.zeros(self.surface.job_faces.max() + 1, bool)
        faces[self.surface.job_faces] = normal @ camera_at(azimuth, 10).rotation[:, 2] > 0.8
        return faces


@pytest.fixture(scope="module")
def draft():
    mesh = trimesh.util.concatenate(
        [
            trimesh.creation.icosphere(4).apply_scale((0.7, 0.9, 1.2)),
            trimesh.creation.box((0.4, 0.5, 0.4)).apply_translation((0, -0.8, 0.6)),
        ]
    )
    return Draft(mesh)


@pytest.mark.parametrize("azimuth", [30, 200], ids=["shown", "hidden"])
def test_each_repaint_of_a_region_differs_inside_and_nowhere_else(draft, azimuth):
    region = draft.facing(azimuth)
    texels = locate_texels(draft.surface, SIZE)
    inside = region[draft.surface.job_faces[texels.face]]
    second = draft.paint(draft.image, 1, region, draft.first)
    third = draft.paint(draft.image, 2, region, second)
    textures = [each.base_color.reshape(-1, 3)[texels.place] for each in (draft.first, second, third)]
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert np.array_equal(textures[one][~inside], textures[other][~inside])
        changed = np.abs(textures[one][inside].astype(int) - textures[other][inside]).max(axis=1) > 16
        assert changed.mean() > 0.25
    # It is of the same paint: neither black nor one colour, and as colourful as before.
    spread = [texture[inside].astype(float).std(axis=0).mean() for texture in textures]
    assert min(spread[1:]) > 0.4 * spread[0]


def test_another_reference_is_shown_in_the_region(draft):
    region, other = draft.facing(30), draft.image.copy()
    other[..., :3] = cv2.cvtColor(draft.image[..., :3], cv2.COLOR_RGB2BGR)
    texels = locate_texels(draft.surface, SIZE)
    inside = region[draft.surface.job_faces[texels.face]]
    repainted = draft.paint(other, 1, region, draft.first).base_color.reshape(-1, 3)[texels.place]
    first = draft.first.base_color.reshape(-1, 3)[texels.place]
    difference = np.abs(repainted[inside].astype(int) - first[inside][:, ::-1]).max(axis=1)
    assert np.median(difference) < 12
