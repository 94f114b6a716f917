"""A region of an earlier texture painted anew, from faces or from a mask, in this process and from the
command line."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import trimesh
from PIL import Image

from backend import local
from backend.api.errors import InvalidImage, InvalidTarget, ProtocolError
from backend.api.job import Job, Kept, MeshData
from backend.bake.bake import Texture
from backend.bake.region import (
    DEFAULT_REGION_CONFIG,
    Earlier,
    blend_region,
    blend_weights,
    decode_kept,
    region_mask,
)
from backend.bake.seams import equalise_seams
from backend.mesh.files import read_mesh
from backend.mesh.prepare import prepare
from backend.mesh.texels import locate_texels, to_atlas
from backend.mesh.tiles import cut_tiles, join_tiles
from backend.mesh.uvs import rasterize_atlas
from tests.command_line import run_here
from tests.meshes import (
    camera_at,
    ignore_progress,
    job,
    knot,
    paint_solid,
    reference_image,
    seam_differences,
    surface_of,
)

ATLAS_SIZE = 1024


@pytest.fixture(scope="module")
def surface():
    return surface_of(knot())


@pytest.fixture(scope="module")
def front(surface):
    """(F,) uint8: the triangles of the knot on one side of a plane that cuts through many charts."""
    return (surface.vertices[surface.faces].mean(axis=1)[:, 1] < 0).astype(np.uint8)


@pytest.fixture(scope="module")
def colors(surface):
    """Two base colors (S, S, 3) uint8 as a bake leaves them: padded, with both sides of every seam alike."""
    texels = locate_texels(surface, ATLAS_SIZE)
    painted = paint_solid(texels.positions)
    return [
        equalise_seams(to_atlas(texels, values), texels.mask, surface.faces, surface.corner_uvs)
        for values in (painted, 255 - painted)
    ]


def texture_of(color: np.ndarray, **more) -> Texture:
    grey = np.full((*color.shape[:2], 1), 255, np.uint8)
    return Texture(color, grey, grey, np.zeros_like(color), 1.0, **more)


def on_surface(surface, size: int = ATLAS_SIZE) -> np.ndarray:
    return rasterize_atlas(surface.corner_uvs, size)[0] >= 0


def png(image: np.ndarray) -> np.ndarray:
    return cv2.imencode(".png", image[..., ::-1] if image.ndim == 3 else image)[1].ravel()


@pytest.mark.parametrize("form", ["faces", "mask"])
def test_outside_the_region_texels_stay_and_inside_they_are_new(surface, front, colors, form):
    face = rasterize_atlas(surface.corner_uvs, ATLAS_SIZE)[0]
    on, inside = face >= 0, (face >= 0) & (front[face] > 0)
    region = front if form == "faces" else 255 * inside.astype(np.uint8)
    old, new = colors
    painted = blend_region(
        surface, texture_of(new), Earlier({"base_color": old}, region), ignore_progress
    ).base_color
    assert np.array_equal(painted[on & ~inside], old[on & ~inside])
    like_new = (painted == new).all(axis=-1)
    assert like_new[inside].mean() > 0.8
    assert (painted != old).any(axis=-1)[inside].mean() > 0.97


def test_seams_stay_matched_where_the_region_crosses_them_or_ends_there(surface, front, colors):
    old, new = colors
    painted = blend_region(
        surface, texture_of(new), Earlier({"base_color": old}, front), ignore_progress
    ).base_color
    before = np.maximum(
        seam_differences(surface, old.astype(np.float32)), seam_differences(surface, new.astype(np.float32))
    )
    after = seam_differences(surface, painted.astype(np.float32))
    assert np.quantile(after, 0.99) <= np.quantile(before, 0.99) + 2
    assert after.max() <= before.max() + 8
    hard = np.where(region_mask(surface, front, ATLAS_SIZE)[..., None] > 0, new, old)
    assert seam_differences(surface, hard.astype(np.float32)).max() > 150


def test_the_transition_is_soft_and_as_wide_as_configured():
    plate = trimesh.creation.box((1.0, 1.0, 0.1))
    for _ in range(3):
        plate = plate.subdivide()
    surface = surface_of(plate)
    left = (surface.vertices[surface.faces].mean(axis=1)[:, 0] < 0).astype(np.uint8)
    texels = locate_texels(surface, ATLAS_SIZE)
    weight, depth = blend_weights(surface, left, ATLAS_SIZE).ravel()[texels.place], -texels.positions[:, 0]
    step, transition = 0.002, DEFAULT_REGION_CONFIG.transition  # step: the size of a texel
    assert weight[depth > transition + step].min() > 0.99
    expected = 3 * np.square(depth / transition) - 2 * (depth / transition) ** 3
    within = (depth > 0) & (depth < transition)
    assert np.abs(weight - expected)[within].max() < 1.5 * step / transition


def test_on_a_thin_wall_only_the_border_on_its_own_side_counts():
    surface = surface_of(trimesh.creation.box((1.0, 1.0, 0.002)))
    up = (surface.face_normals[:, 2] > 0.5).astype(np.uint8)
    texels = locate_texels(surface, 512)
    weight = blend_weights(surface, up, 512).ravel()[texels.place]
    middle = (up[texels.face] > 0) & (np.abs(texels.positions[:, :2]).max(axis=1) < 0.47)
    assert weight[middle].min() > 0.99
    assert (weight[up[texels.face] == 0] == 0).all()


def test_islands_that_touch_in_the_atlas_are_no_neighbours():
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    uvs = np.concatenate([square * (0.25, 1) + (start, 0) for start in (0, 0.25, 0.6)])
    places = np.concatenate(
        [np.insert(square, 1, y, axis=1) for y in (0, 1, 0.5)]
    )  # the last lies midway between the others
    faces = np.concatenate([np.array([[0, 1, 2], [0, 2, 3]], np.int32) + first for first in (0, 4, 8)])
    plates = trimesh.Trimesh(places, faces, process=False)
    surface = replace(surface_of(plates), corner_uvs=uvs[faces].astype(np.float32))
    weight = blend_weights(surface, np.array([1, 1, 0, 0, 1, 1], np.uint8), 256)
    assert (weight[:, :63] == 1).all()
    assert (weight[:, 65:127] == 0).all()
    assert (weight[:, 154:217] == 1).all()


def test_a_small_region_is_still_painted_in_its_middle(surface):
    centre = surface.vertices[surface.faces].mean(axis=1)
    nearest = np.argsort(np.linalg.norm(centre - centre[0], axis=1))[:4]
    region = np.zeros(len(surface.faces), np.uint8)
    region[nearest] = 1
    assert blend_weights(surface, region, ATLAS_SIZE).max() > 0.95


def test_a_small_region_is_painted_in_its_middle_though_another_is_large(surface):
    middle = surface.vertices[surface.faces].mean(axis=1)
    small = np.argsort(np.linalg.norm(middle - middle[middle[:, 1].argmax()], axis=1))[:6]
    region = (middle[:, 1] < 0).astype(np.uint8)
    region[small] = 1
    texels = locate_texels(surface, ATLAS_SIZE)
    weight = blend_weights(surface, region, ATLAS_SIZE).ravel()[texels.place]
    assert weight[np.isin(texels.face, small)].max() > 0.95
    assert weight.max() == 1


@pytest.mark.parametrize("size", [300, 512, 2048])
def test_a_mask_may_have_another_size_than_the_texture(surface, size):
    mask = np.zeros((size, size), np.uint8)
    mask[: size // 2] = 255
    weight, on = blend_weights(surface, mask, ATLAS_SIZE), on_surface(surface)
    assert (weight[ATLAS_SIZE // 2 + 4 :][on[ATLAS_SIZE // 2 + 4 :]] == 0).all()
    assert (weight[: ATLAS_SIZE // 2 - 40][on[: ATLAS_SIZE // 2 - 40]] > 0.99).mean() > 0.7


def test_grey_in_a_mask_takes_that_much_of_the_new_texture(surface):
    mask = np.full((ATLAS_SIZE, ATLAS_SIZE), 51, np.uint8)
    assert np.allclose(blend_weights(surface, mask, ATLAS_SIZE), 0.2)


def test_the_blend_keeps_size_and_maps_and_gains_new_maps(surface, front, colors):
    old, new = colors
    rough = np.full((ATLAS_SIZE, ATLAS_SIZE, 1), 10, np.uint8)
    glossy = texture_of(cv2.resize(new, (2048, 2048)), roughness=np.full((2048, 2048, 1), 20, np.uint8))
    painted = blend_region(
        surface, glossy, Earlier({"base_color": old, "metallic": rough}, front), ignore_progress
    )
    outside = on_surface(surface) & (blend_weights(surface, front, ATLAS_SIZE) == 0)
    assert painted.base_color.shape == old.shape
    assert np.array_equal(painted.metallic, rough)
    assert set(np.unique(painted.roughness[outside])) == {153}
    assert painted.roughness.min() == 20
    assert set(np.unique(painted.coverage)) == {0, 255}


def test_the_blend_knows_where_colours_are_from_only_if_the_earlier_take_does(surface, front, colors):
    old, new = colors
    from_picture, invented = (
        np.full((ATLAS_SIZE, ATLAS_SIZE, 3), color, np.uint8) for color in ([255, 0, 0], [0, 0, 255])
    )
    texture = texture_of(new, color_source=invented)
    silent = blend_region(surface, texture, Earlier({"base_color": old}, front), ignore_progress)
    assert silent.color_source is None
    earlier = Earlier({"base_color": old, "color_source": from_picture}, front)
    painted = blend_region(surface, texture, earlier, ignore_progress).color_source
    outside = on_surface(surface) & (blend_weights(surface, front, ATLAS_SIZE) == 0)
    assert (painted[outside] == [255, 0, 0]).all()
    assert (painted == [0, 0, 255]).all(axis=2).any()


def test_tiles_that_are_joined_are_the_atlas_they_were_cut_from():
    tiles = (1001, 1002, 1011)
    atlas = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    images = cut_tiles(atlas, tiles)
    again = join_tiles(images, tiles)
    assert all(np.array_equal(image, images[tile]) for tile, image in cut_tiles(again, tiles).items())


def make_kept(surface, **textures) -> Kept:
    color = np.zeros((64, 64, 3), np.uint8)
    return Kept({"base_color": png(color)} | textures, np.ones(len(surface.faces), np.uint8))


@pytest.mark.parametrize(
    ("textures", "message"),
    [
        ({"base_color": np.frombuffer(b"no image", np.uint8)}, "not an image file"),
        ({"base_color": png(np.zeros((64, 32, 3), np.uint8))}, "as wide as high"),
        ({"confidence": png(np.zeros((32, 32), np.uint8))}, "all of one size"),
        ({"metallic": png(np.zeros((64, 64), np.uint8))}, "only one of metallic and roughness"),
        ({"coverage.1002": png(np.zeros((64, 64), np.uint8))}, "does not have the tiles"),
    ],
)
def test_textures_that_cannot_be_kept_are_reported(surface, textures, message):
    kept, usable = make_kept(surface, **textures), replace(surface, unwrapped=False)
    with pytest.raises(InvalidImage, match=message):
        decode_kept(kept, usable)


def test_a_region_that_cannot_be_used_is_reported(surface):
    usable, kept = replace(surface, unwrapped=False), make_kept(surface)
    with pytest.raises(InvalidTarget, match="UV map cannot be used"):
        decode_kept(kept, surface)
    with pytest.raises(InvalidTarget, match="Nothing is marked"):
        Kept(kept.textures, np.zeros((8, 8), np.uint8))
    mask = np.zeros((ATLAS_SIZE, ATLAS_SIZE), np.uint8)
    mask[~on_surface(surface)] = 255
    with pytest.raises(InvalidTarget, match="Nothing is marked"):
        decode_kept(Kept({"base_color": png(np.zeros((ATLAS_SIZE, ATLAS_SIZE, 3), np.uint8))}, mask), usable)
    with pytest.raises(InvalidTarget, match="several UDIM tiles"):
        decode_kept(Kept(kept.textures, np.ones((8, 8), np.uint8)), replace(usable, tiles=(1001, 1002)))
    mesh = MeshData(surface.vertices, surface.faces)
    with pytest.raises(InvalidTarget, match="marked on another mesh"):
        replace(job(mesh, np.zeros(4, np.uint8)), kept=Kept(kept.textures, np.ones(3, np.uint8)))


def test_a_job_brings_what_it_keeps_over_the_wire(surface):
    mesh = MeshData(surface.vertices, surface.faces)
    sent = replace(
        job(mesh, np.zeros(4, np.uint8)), kept=make_kept(surface, metallic=png(np.zeros((64, 64), np.uint8)))
    )
    got = Job.from_parts(sent.body(), sent.arrays())
    assert np.array_equal(got.kept.region, sent.kept.region)
    assert set(got.kept.textures) == {"base_color", "metallic"}
    assert all(np.array_equal(got.kept.textures[name], data) for name, data in sent.kept.textures.items())
    for lacking in ("region", "keep.base_color"):
        arrays = sent.arrays()
        del arrays[lacking]
        with pytest.raises(ProtocolError):
            Job.from_parts(sent.body(), arrays)


@pytest.mark.usefixtures("quick_draft")
def test_the_command_line_repaints_a_texture_but_for_what_a_mask_protects(tmp_path):
    # Slender, so that there is little surface to paint.
    solid = trimesh.creation.icosphere(3).apply_scale((0.4, 0.4, 1))
    surface = surface_of(solid)
    corners = solid.triangles.reshape(-1, 3)
    visual = trimesh.visual.TextureVisuals(uv=surface.corner_uvs.reshape(-1, 2))
    trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), visual=visual, process=False).export(
        tmp_path / "ball.glb"
    )
    Image.fromarray(reference_image(surface, camera_at(30, 15, 256))).save(tmp_path / "reference.png")
    random = np.random.default_rng(0)
    for name, channels in (("base_color", 3), ("confidence", 1), ("metallic", 1), ("roughness", 1)):
        png(random.integers(0, 40, (ATLAS_SIZE, ATLAS_SIZE, channels), np.uint8)).tofile(
            tmp_path / f"{name}.png"
        )
    mask = np.zeros((256, 256), np.uint8)
    mask[:, :128] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    run_here(
        "bake",
        tmp_path / "ball.glb",
        "--image",
        tmp_path / "reference.png",
        "-o",
        tmp_path / "again",
        "--keep",
        tmp_path,
        "--region",
        tmp_path / "mask.png",
        "--texture-size",
        2048,
        "--voxel-resolution",
        128,
        "--azimuth",
        30,
        "--elevation",
        15,
    )
    on = on_surface(prepare(read_mesh(tmp_path / "ball.glb").to_mesh_data(), ATLAS_SIZE, ignore_progress))
    outside, deep = on.copy(), on.copy()
    outside[:, : ATLAS_SIZE // 2 + 8] = deep[:, ATLAS_SIZE // 2 - 64 :] = False
    for name in ("base_color", "confidence", "metallic"):
        before, after = (
            np.asarray(Image.open(folder / f"{name}.png")) for folder in (tmp_path, tmp_path / "again")
        )
        assert np.array_equal(before[outside], after[outside]), name
        assert (name == "metallic") == np.array_equal(before, after)
    # Not all of the half: some of its islands have neighbours on the surface that lie in the other half.
    assert (
        np.asarray(Image.open(tmp_path / "again" / "base_color.png"))[deep].max(axis=-1) > 60
    ).mean() > 0.8
    report = json.loads((tmp_path / "again" / "report.json").read_text())
    assert "painted anew" in report["notes"][-1]
    assert list(report["seconds"])[-1] == "blend"


def test_files_of_kept_textures_that_cannot_be_read_are_reported(tmp_path):
    Image.fromarray(np.ones((8, 8), np.uint8)).save(tmp_path / "mask.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    (tmp_path / "empty.png").touch()
    for textures, mask, message in (
        ("nothing.png", "mask.png", "cannot be read"),
        ("mask.png", "nothing.png", "cannot be read"),
        ("mask.png", "broken.png", "not an image file"),
        ("mask.png", "empty.png", "not an image file"),
        (".", "mask.png", "no base_color.png"),
    ):
        with pytest.raises(InvalidImage, match=message):
            local.read_kept(tmp_path / textures, tmp_path / mask)
