"""Whole jobs, with the draft as users have it: the texture looks like the reference."""

import numpy as np
import pytest
import trimesh

from backend import pipeline
from backend.mesh.files import read_mesh
from tests.meshes import (
    ASSETS,
    camera_at,
    decode_png,
    job,
    mesh_data,
    needs_assets,
    picture_of,
    psnr,
    reference_image,
    render_textured,
    surface_of,
)


def ignore_progress(stage: str, fraction: float) -> None:
    pass


SHAPES = {
    "beam": trimesh.creation.box((0.3, 0.4, 1)),
    "one triangle": trimesh.Trimesh([[-1, 0, -1], [1, 0, -1], [0, 0, 1]], [[0, 1, 2]]),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_texture_of_a_simple_shape_matches_the_reference(shape, tmp_path):
    mesh = SHAPES[shape]
    result = pipeline.run(
        job(
            mesh_data(mesh),
            picture_of(mesh),
            texture_size=1024,
            voxel_resolution=128,
            azimuth=30.0,
            elevation=15.0,
        ),
        tmp_path,
        ignore_progress,
    )
    surface = surface_of(mesh)
    camera = camera_at(30, 15, 384)
    mask, worn = render_textured(
        surface, result.corner_uvs, decode_png(result.textures["base_color"]).astype(np.float32), camera
    )
    image = reference_image(surface, camera)
    inside = mask & (image[..., 3] == 255)
    assert psnr(worn[inside], image[inside, :3]) > 22
    for azimuth in (0, 90, 180, 270):
        for elevation in (-60, 0, 60):
            mask, worn = render_textured(
                surface,
                result.corner_uvs,
                decode_png(result.textures["base_color"]).astype(np.float32),
                camera_at(azimuth, elevation, 128),
            )
            assert worn[mask].max(axis=1).min(initial=255) > 60, "a black texel"


@needs_assets
@pytest.mark.parametrize("name", ["spot/spot_triangulated.obj", "fuze/fuze.obj", "rocker-arm.obj"])
def test_the_view_of_real_meshes_is_found_and_the_texture_matches(name, tmp_path):
    mesh = read_mesh(ASSETS / name).to_mesh_data()
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    work = job(mesh, picture_of(solid, 20, 25, 512), texture_size=1024, voxel_resolution=128)
    result = pipeline.run(work, tmp_path, ignore_progress)
    surface, camera = surface_of(solid), camera_at(20, 25, 512)
    uvs = mesh.corner_uvs if result.corner_uvs is None else result.corner_uvs
    mask, worn = render_textured(
        surface, uvs, decode_png(result.textures["base_color"]).astype(np.float32), camera
    )
    image = reference_image(surface, camera)
    inside = mask & (image[..., 3] == 255)
    assert psnr(worn[inside], image[inside, :3]) > 24
