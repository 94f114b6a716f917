"""Jobs that start from the paint that the mesh wears, from the job to the texture."""

import io
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from PIL import Image

from backend import local
from backend.api.errors import InvalidImage, InvalidMesh, ProtocolError
from backend.api.job import Job
from backend.api.present_paint import PresentPaint
from backend.api.settings import Settings
from backend.mesh.texels import locate_texels
from backend.paint.present import PresentSurface, decode_present
from backend.pipeline import run_until
from backend.results import make_result
from backend.stages import StageRunner, progress_shares
from backend.store import fingerprint
from tests.drafts import quick_drafts
from tests.meshes import camera_at, mesh_data, reference_image, surface_of

RED, BLUE = (200, 40, 30), (30, 60, 190)


def ball() -> trimesh.Trimesh:
    """A ball with a nose, so that it has a front."""
    nose = trimesh.creation.box((0.3, 0.5, 0.3)).apply_translation((0, -0.9, 0.2))
    return trimesh.util.concatenate([trimesh.creation.icosphere(3), nose])


def checks(one=RED, other=BLUE, cells=8, size=128) -> np.ndarray:
    """(S, S, 4) uint8."""
    rows, columns = np.indices((size, size)) * cells // size
    image = np.where(((rows + columns) % 2 == 0)[..., None], one, other)
    return np.dstack([image, np.full((size, size), 255)]).astype(np.uint8)


def encode(pixels: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return np.frombuffer(stream.getvalue(), np.uint8)


def paint_of(uvs: np.ndarray, *images: np.ndarray, **more) -> PresentPaint:
    return PresentPaint(images, np.zeros(len(uvs), np.int32), uvs, **more)


@pytest.fixture(scope="module")
def job() -> Job:
    """Of a ball with UVs of its own, and checks on them."""
    surface = surface_of(ball())
    mesh = replace(mesh_data(ball()), corner_uvs=surface.corner_uvs)
    image = reference_image(surface, camera_at(0, 0, 256))
    settings = Settings(texture_size=1024, azimuth=0.0, elevation=0.0, light="keep", start_from="present")
    return Job("0" * 32, "Ball", mesh, image, settings, present=paint_of(mesh.corner_uvs, encode(checks())))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    def run(job):
        stages = StageRunner(tmp_path_factory.mktemp("job"), lambda *_: None, progress_shares(job))
        with quick_drafts():
            state = run_until(job, stages)
        return state, make_result(job, state, stages.seconds)

    return run


@pytest.fixture(scope="module")
def bare(job, run):
    return run(replace(job, present=None))


@pytest.fixture(scope="module")
def kept(job, run):
    return run(job)


def split(state):
    """Texels, whether each lies on the back, and the present paint of each, (N, 3) 0..255."""
    texels = locate_texels(state.surface, 1024)
    uvs = state.surface.corner_uvs
    paint = paint_of(uvs, checks())
    present = PresentSurface.of(
        replace(state.surface, job_faces=np.arange(len(uvs))), paint, decode_present(paint)
    )
    colors, _ = present.look_up(texels.positions, texels.face)
    return texels, texels.positions[:, 1] > 0.12, 255 * colors


def colors_of(state, texels):
    return state.texture.base_color.reshape(-1, 3)[texels.place].astype(float)


def test_the_back_keeps_its_paint_and_the_front_is_the_pictures(bare, kept):
    texels, back, paint = split(kept[0])
    own, without = colors_of(kept[0], texels), colors_of(bare[0], texels)
    assert back.sum() > 10_000
    assert np.abs(own[back] - paint[back]).max() <= 2
    assert np.abs(without[back] - paint[back]).mean() > 20
    shown = bare[0].texture.color_source.reshape(-1, 3)[texels.place, 0] > 250
    assert shown.sum() > 10_000
    assert np.abs(own[shown] - without[shown]).mean() < 1


def test_the_report_tells_how_much_is_from_the_present_texture(bare, kept):
    shares = kept[1].report["color_source"]
    assert sum(shares.values()) == 100
    assert shares["present"] > 40
    assert shares["mirrored"] + shares["invented"] <= 2
    assert "% from the present texture" in "".join(kept[1].report["notes"])
    assert "present" not in bare[1].report["color_source"]


def test_a_weight_of_zero_is_a_job_without_present_paint_to_the_bit(job, run, bare):
    state, _ = run(replace(job, settings=replace(job.settings, present_weight=0.0)))
    assert np.array_equal(state.texture.base_color, bare[0].texture.base_color)
    assert np.array_equal(state.texture.color_source, bare[0].texture.color_source)


def test_half_the_weight_is_between(job, run, bare, kept):
    state, result = run(replace(job, settings=replace(job.settings, present_weight=0.5)))
    texels, back, paint = split(state)
    own, without = colors_of(state, texels)[back], colors_of(bare[0], texels)[back]
    half = np.abs(own - paint[back]).mean()
    assert half < 0.75 * np.abs(without - paint[back]).mean()
    assert half > 5
    assert 15 < result.report["color_source"]["present"] < kept[1].report["color_source"]["present"]


def test_masked_faces_are_painted_as_without_present_paint(job, run, bare):
    normals = trimesh.Trimesh(job.mesh.vertices, job.mesh.faces, process=False).face_normals
    upper = np.where(normals[:, 2] > 0, 255, 0).astype(np.uint8)
    state, _ = run(replace(job, present=replace(job.present, mask=upper)))
    texels, back, paint = split(state)
    error = np.abs(colors_of(state, texels) - paint)
    assert error[back & (texels.positions[:, 2] > 0.1)].max() <= 2
    assert error[back & (texels.positions[:, 2] < -0.2)].mean() > 15


def square(**more) -> tuple:
    """A surface of two triangles over x, z in ±0.5, and its UVs."""
    mesh = trimesh.Trimesh(
        [(0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1)], [(0, 1, 2), (0, 2, 3)], process=False
    )
    surface = surface_of(mesh)
    points = np.array([(-0.3, 0, -0.3), (0.3, 0, -0.3), (0.3, 0, 0.3), (-0.3, 0, 0.3)], np.float32)
    corners = surface.vertices[surface.faces][..., [0, 2]] + 0.5
    return surface, corners.astype(np.float32), points, np.array([0, 0, 1, 1])


def look_up(surface, paint, points, face):
    return PresentSurface.of(surface, paint, decode_present(paint)).look_up(points, face)


def test_images_repeat_beyond_the_unit_square():
    surface, uvs, points, face = square()
    image = checks(cells=2)
    once, _ = look_up(surface, paint_of(uvs, image), points, face)
    tiled, _ = look_up(surface, paint_of(uvs - 3, image), points, face)
    assert np.allclose(once, tiled, atol=1e-3)
    assert np.ptp(once, axis=0).max() > 0.5


def test_each_face_wears_its_own_image_or_only_its_corners_colours():
    surface, uvs, points, face = square()
    green = checks((0, 255, 0), (0, 255, 0))
    colors = np.full((2, 3, 3), 0.5, np.float32)
    paint = PresentPaint((checks(RED, RED), green), np.array([1, -1], np.int32), uvs, colors)
    found, share = look_up(surface, paint, points, face)
    assert np.allclose(found, [(0, 0.5, 0)] * 2 + [(0.5,) * 3] * 2, atol=1e-3)
    assert (share == 1).all()


def test_colours_of_corners_are_interpolated():
    surface, _, points, face = square()
    corners = surface.vertices[surface.faces]
    paint = PresentPaint((), np.full(2, -1, np.int32), corner_colors=(corners + 0.5).astype(np.float32))
    found, _ = look_up(surface, paint, points, face)
    assert np.allclose(found, points + 0.5, atol=1e-3)


def test_the_mirrored_half_of_a_body_wears_the_paint_in_reverse():
    surface, uvs, points, face = square()
    mirrored = replace(
        surface,
        faces=np.concatenate([surface.faces, surface.faces[:, ::-1]]),
        job_faces=np.tile(surface.job_faces, 2),
    )
    paint = paint_of(uvs, checks(cells=2))
    one, _ = look_up(mirrored, paint, points, face)
    other, _ = look_up(mirrored, paint, points, face + 2)
    assert np.allclose(one, other)


def test_a_job_comes_back_from_its_arrays_with_its_present_paint(job):
    again = Job.from_parts(job.body(), job.arrays())
    assert fingerprint(again) == fingerprint(job)
    assert fingerprint(replace(job, present=None)) != fingerprint(job)
    assert not any(name.startswith("present") for name in replace(job, present=None).arrays())


@pytest.mark.parametrize(
    ("name", "array", "sentence"),
    [
        ("image.0", None, "does not exist"),
        ("image_of_face", np.full(3, 0, np.int32), "must be"),
        ("image_of_face", np.full(1292, 7, np.int32), "does not exist"),
        ("corner_uvs", None, "no UVs"),
        ("mask", np.zeros((2, 2), np.uint8), "must be"),
        ("image.0", np.zeros((2, 2), np.uint8), "a file or pixels"),
        ("other", np.zeros(1, np.uint8), "no array called"),
    ],
)
def test_damaged_arrays_are_refused_in_a_sentence(job, name, array, sentence):
    arrays = job.arrays()
    assert len(job.mesh.faces) == 1292
    if array is None:
        del arrays[f"present.{name}"]
    else:
        arrays[f"present.{name}"] = array
    with pytest.raises(ProtocolError, match=sentence):
        Job.from_parts(job.body(), arrays)


def test_an_image_that_cannot_be_read_is_named(job):
    broken = replace(job.present, images=(np.zeros(30, np.uint8),))
    with pytest.raises(InvalidImage, match="Image 1 of the present texture"):
        decode_present(broken)


def test_the_texture_of_a_mesh_file_is_the_present_paint(tmp_path, job):
    uvs = job.mesh.corner_uvs.reshape(-1, 2)
    Image.fromarray(job.reference).save(tmp_path / "picture.png")
    picture = [local.PictureFile(tmp_path / "picture.png")]
    solid = trimesh.Trimesh(
        job.mesh.vertices[job.mesh.faces].reshape(-1, 3), np.arange(len(uvs)).reshape(-1, 3), process=False
    )
    skin = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.fromarray(checks()))
    solid.visual = trimesh.visual.TextureVisuals(uv=uvs, material=skin)
    solid.export(tmp_path / "ball.glb")
    _, read = local.read_job(tmp_path / "ball.glb", picture, job.settings)
    assert np.array_equal(decode_present(read.present)[0], checks()[..., :3])
    assert np.allclose(read.present.corner_uvs, job.mesh.corner_uvs, atol=1e-5)
    _, without = local.read_job(tmp_path / "ball.glb", picture, replace(job.settings, start_from="nothing"))
    assert without.present is None


def test_a_mesh_file_without_a_texture_to_start_from_is_named(tmp_path, job):
    ball().export(tmp_path / "ball.glb")
    with pytest.raises(InvalidMesh, match=r"ball\.glb has no texture"):
        local.read_job(tmp_path / "ball.glb", [local.PictureFile(tmp_path / "picture.png")], job.settings)
