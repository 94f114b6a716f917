"""Pictures that differ in tone, place and light are brought together."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from backend.mesh.voxels import voxelize
from backend.paint.draft.image.color import to_linear, to_srgb
from backend.paint.reference import decode
from backend.pictures.choice import choose_pictures
from backend.pictures.harmonize import Observed, harmonize, match_tones
from backend.render.rasterize import rasterize, visible_points
from backend.render.sample import sample_bilinear
from backend.render.visibility import observe
from tests.meshes import camera_at, ignore_progress, knot, paint_solid, reference_image, surface_of

SIZE = 288


class Pictures:
    """Two pictures of one knot that overlap."""

    def __init__(self):
        self.surface = surface_of(knot())
        self.cameras = [camera_at(20, 10, SIZE), camera_at(65, 20, SIZE)]
        self.references = [decode(reference_image(self.surface, camera)) for camera in self.cameras]
        self.buffers = [
            rasterize(self.surface.vertices, self.surface.faces, camera) for camera in self.cameras
        ]
        self.winding = np.ones(len(self.surface.faces), np.int8)
        self.voxels = voxelize(self.surface, 96)

    def bring_together(self, second, light="automatic"):
        return harmonize(
            self.surface,
            [self.references[0], second],
            self.buffers,
            self.winding,
            self.voxels,
            light,
            ignore_progress,
        )

    def observed(self, *references):
        return [
            Observed(reference, buffer, np.ones(buffer.mask.shape, bool))
            for reference, buffer in zip(references, self.buffers, strict=False)
        ]


@pytest.fixture(scope="module")
def pictures():
    return Pictures()


def error_of(pictures, observed, number) -> float:
    """Root mean square difference to the truth, 0..255, of what a picture shows away from edges."""
    inside = observed.edges() > 4
    truth = paint_solid(visible_points(pictures.buffers[number]))
    image = np.zeros((*inside.shape, 3), np.float32)
    image[pictures.buffers[number].mask] = truth
    return float(np.sqrt(np.square(255 * observed.reference.color - image)[inside].mean()))


def disagreement(pictures, observed) -> float:
    """Mean difference of two pictures, 0..1, at voxels that both show squarely."""
    points, normals = pictures.voxels.positions, pictures.voxels.normals
    colors, shared = [], np.ones(len(points), bool)
    for one in observed:
        cosine, edge = observe(points, normals, one.buffer, one.edges(), 1)
        shared &= (cosine > 0.4) & (edge > 4)
        pixels, _ = one.buffer.camera.project(points.astype(np.float64))
        colors.append(sample_bilinear(one.reference.color, pixels))
    return float(np.abs(colors[0] - colors[1])[shared].mean())


def test_exposure_and_white_balance_are_found(pictures):
    gain = np.float32([0.55, 0.7, 0.6])
    linear = to_linear(pictures.references[1].color) * gain
    dark = replace(pictures.references[1], color=to_srgb(linear).astype(np.float32))
    tones = match_tones(pictures.observed(pictures.references[0], dark), pictures.winding, pictures.voxels)
    np.testing.assert_allclose(tones.gains[0], 1, atol=1e-3)
    np.testing.assert_allclose(tones.gains[1], 1 / gain, rtol=0.06)
    together = pictures.bring_together(dark)
    assert error_of(pictures, together[1], 1) < 0.3 * error_of(pictures, pictures.observed(0, dark)[1], 1)


def test_pictures_that_agree_are_hardly_changed(pictures):
    together = pictures.bring_together(pictures.references[1])
    before = pictures.observed(*pictures.references)
    for number in (0, 1):
        assert error_of(pictures, together[number], number) < error_of(pictures, before[number], number) + 1.5


def test_drift_is_removed_where_pictures_overlap(pictures):
    row, column = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    color = cv2.remap(pictures.references[1].color, column + 2.5, row - 1.5, cv2.INTER_LINEAR)
    drifted = replace(pictures.references[1], color=color)
    before = pictures.observed(pictures.references[0], drifted)
    after = pictures.bring_together(drifted)
    assert disagreement(pictures, after) < 0.6 * disagreement(pictures, before)


def test_where_pictures_contradict_one_decides(pictures):
    other = replace(pictures.references[1], color=1 - pictures.references[1].color)
    share = choose_pictures(
        pictures.observed(pictures.references[0], other), pictures.winding, pictures.voxels
    )
    shown = share.sum(axis=1) > 0
    np.testing.assert_allclose(share[shown].sum(axis=1), 1, atol=1e-5)
    mixed = (share[shown].max(axis=1) < 0.95).mean()
    assert mixed < 0.2
    assert min((share[shown].argmax(axis=1) == number).mean() for number in (0, 1)) > 0.1


def test_no_voxel_takes_a_picture_that_does_not_see_it(pictures):
    observed = pictures.observed(*pictures.references)
    share = choose_pictures(observed, pictures.winding, pictures.voxels)
    alone = choose_pictures(observed[:1], pictures.winding, pictures.voxels)
    assert not share[alone[:, 0] == 0, 0].any()
