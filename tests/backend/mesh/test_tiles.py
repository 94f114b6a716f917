"""UDIM layouts: kept, baked tile by tile, written tile by tile."""

import numpy as np
import pytest
import trimesh
from PIL import Image

from backend import pipeline
from backend.api.job import MeshData
from backend.mesh.files import write_mesh
from backend.mesh.formats.mesh_file import MeshFile
from backend.mesh.prepare import prepare
from backend.mesh.surface import Surface
from backend.mesh.tiles import MAX_ATLAS_SIZE, atlas_size, cut_tiles, gather_tiles, tile_numbers
from backend.mesh.uvs import rasterize_atlas, why_unusable
from tests.meshes import camera_at, decode_png, job, knot, psnr, reference_image, render_textured, surface_of


def quiet(*_) -> None:
    pass


@pytest.fixture(scope="module")
def mesh_on_tiles() -> MeshData:
    """A knot whose charts lie in tiles 1001, 1002 and 1012, by where on the knot they are."""
    surface = surface_of(knot())
    chart = trimesh.graph.connected_component_labels(_uv_neighbours(surface), len(surface.faces))
    column, row = np.array([[0, 0], [1, 0], [1, 1]])[chart % 3].T
    uvs = surface.corner_uvs * 0.98 + 0.01 + np.column_stack([column, row])[:, None]
    return MeshData(surface.vertices, surface.faces, corner_uvs=uvs.astype(np.float32))


def _uv_neighbours(surface: Surface) -> np.ndarray:
    _, corner = np.unique(surface.corner_uvs.reshape(-1, 2), axis=0, return_inverse=True)
    return trimesh.graph.face_adjacency(corner.reshape(-1, 3))


def move_to_tile(uvs: np.ndarray, column: float, row: float) -> np.ndarray:
    return (uvs + np.float32([column, row])).astype(np.float32)


@pytest.mark.parametrize(
    "tiles", [(1001,), (1003,), (1001, 1002), (1001, 1002, 1012), (1005, 1010, 1021, 1300, 1999)]
)
def test_gathered_tiles_are_cut_to_what_the_layout_says(tiles):
    corners = np.float32([[0.1, 0.2], [0.8, 0.3], [0.4, 0.9]])
    uvs = np.stack([move_to_tile(corners, (tile - 1001) % 10, (tile - 1001) // 10) for tile in tiles])
    gathered, found = gather_tiles(uvs)
    assert found == tiles
    assert list(tile_numbers(uvs)) == list(tiles)
    assert gathered.min() >= 0
    assert gathered.max() <= 1
    size = atlas_size(tiles, 128)
    face, _ = rasterize_atlas(gathered, size)
    alone = rasterize_atlas(corners[None], 128)[0] == 0
    for index, (tile, image) in enumerate(cut_tiles(face[..., None], found).items()):
        assert tile == tiles[index]
        assert image.shape == (128, 128, 1)
        assert ((image[..., 0] == index) == alone).mean() > 0.999


def test_many_udim_tiles_are_smaller_so_that_the_atlas_fits_into_memory():
    assert atlas_size((1001,), 8192) == 8192
    assert atlas_size((1001, 1002), 8192) == 8192
    assert atlas_size(tuple(range(1001, 1006)), 2048) == 6144
    assert atlas_size(tuple(range(1001, 1065)), 4096) == MAX_ATLAS_SIZE


INSIDE_TILE = np.float32([[[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]])
SMALL_TRIANGLE = np.float32([[0.1, 0.1], [0.3, 0.1], [0.3, 0.3]])


@pytest.mark.parametrize(
    ("uvs", "reason"),
    [
        (np.concatenate([INSIDE_TILE, move_to_tile(INSIDE_TILE, 1, 0)]), None),
        (move_to_tile(INSIDE_TILE, 3, 7), None),
        (np.concatenate([INSIDE_TILE, move_to_tile(INSIDE_TILE, 0.2, 0)]), "leaves the 0 to 1 square"),
        (move_to_tile(INSIDE_TILE, -1, 0), "leaves the 0 to 1 square"),
        (move_to_tile(INSIDE_TILE, 10, 0), "leaves the 0 to 1 square"),
        (
            np.stack([move_to_tile(SMALL_TRIANGLE, k % 10, k // 10) for k in range(65)]),
            "65 UDIM tiles, and 64 are the most",
        ),
        (
            np.concatenate([INSIDE_TILE, move_to_tile(INSIDE_TILE, 1, 0), move_to_tile(INSIDE_TILE, 1, 0)]),
            "faces overlap",
        ),
    ],
)
def test_a_uv_layout_must_keep_to_its_tiles(uvs, reason):
    found = why_unusable(uvs)
    assert (found is None) if reason is None else (found and reason in found)


@pytest.mark.usefixtures("quick_draft")
def test_a_job_on_tiles_keeps_the_layout_and_gives_a_texture_per_tile(mesh_on_tiles, tmp_path):
    surface = prepare(mesh_on_tiles, 1024, quiet)
    assert not surface.unwrapped
    assert any("3 UDIM tiles were kept, with a texture of 1024 x 1024 each" in note for note in surface.notes)
    view = camera_at(30, 15, 384)
    work = job(
        mesh_on_tiles,
        reference_image(surface, view),
        texture_size=1024,
        voxel_resolution=128,
        azimuth=30.0,
        elevation=15.0,
    )
    result = pipeline.run(work, tmp_path, quiet)
    assert result.corner_uvs is None
    maps = ("base_color", "confidence", "coverage", "disagreement", "color_source")
    assert set(result.textures) == {f"{name}.{tile}" for name in maps for tile in (1001, 1002, 1012)}
    assert all(decode_png(png).shape[:2] == (1024, 1024) for png in result.textures.values())
    worn = np.zeros((384, 384, 3), np.float32)
    for tile, (column, row) in {1001: (0, 0), 1002: (1, 0), 1012: (1, 1)}.items():
        texture = decode_png(result.textures[f"base_color.{tile}"]).astype(np.float32)
        mask, image = render_textured(
            surface, move_to_tile(mesh_on_tiles.corner_uvs, -column, -row), texture, view
        )
        faces = pipeline.render(surface, [view])[0].face
        on = mask & (tile_numbers(mesh_on_tiles.corner_uvs)[faces] == tile)
        worn[on] = image[on]
    truth = reference_image(surface, view)
    inside = mask & (truth[..., 3] == 255)
    assert psnr(worn[inside], truth[inside, :3]) > 22
    again = pipeline.run(work, tmp_path, quiet).textures
    assert all(np.array_equal(again[name], png) for name, png in result.textures.items())


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_mesh_files_get_a_material_per_udim_tile(mesh_on_tiles, tmp_path, suffix):
    vertices, faces = (
        mesh_on_tiles.vertices[mesh_on_tiles.faces].reshape(-1, 3),
        np.arange(mesh_on_tiles.faces.size, dtype=np.int32).reshape(-1, 3),
    )
    mesh = MeshFile(vertices, faces, mesh_on_tiles.corner_uvs.reshape(-1, 2), True)
    shades = {1001: 60, 1002: 120, 1012: 180}
    textures = {
        tile: {"base_color": Image.new("RGB", (8, 8), (shade,) * 3)} for tile, shade in shades.items()
    }
    write_mesh(tmp_path / f"out{suffix}", mesh, None, textures)
    scene = trimesh.load(tmp_path / f"out{suffix}", force="scene", process=False)
    assert sum(len(part.faces) for part in scene.geometry.values()) == len(faces)
    found = {}
    for part in scene.geometry.values():
        material = part.visual.material
        image = material.baseColorTexture if suffix == ".glb" else material.image
        (tile,) = np.unique(tile_numbers(part.visual.uv[part.faces]))
        found[int(tile)] = int(np.asarray(image.convert("L"))[0, 0])
    assert found == shades
