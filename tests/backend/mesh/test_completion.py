"""Half a body, open along a plane, and its whole."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from backend.mesh.completion import complete_half, find_open_plane
from backend.mesh.copies import lay_upon_another, select_originals
from backend.mesh.edges import border_edges
from backend.mesh.prepare import clean, job_uvs, prepare
from backend.mesh.uvs import count_overlaps
from tests.meshes import ignore_progress, mesh_data
from tests.stacked_meshes import body, cut


def bowl_with_a_spoon() -> trimesh.Trimesh:
    spoon = trimesh.creation.box((0.1, 0.1, 2))
    return trimesh.util.concatenate([cut(trimesh.creation.icosphere(3), (0, 0, -1)), spoon])


@pytest.mark.parametrize(
    ("mesh", "normal"),
    [
        (cut(body(), (1, 0, 0)), (1, 0, 0)),
        (cut(body(), (-1, 0, 0)), (-1, 0, 0)),
        (cut(trimesh.creation.icosphere(3), (0, 0, -1), (0, 0, 0.1)), (0, 0, -1)),
        (cut(trimesh.creation.icosphere(3), (0.6, 0.8, 0)), (0.6, 0.8, 0)),
        (trimesh.creation.icosphere(2), None),
        (bowl_with_a_spoon(), None),
        (trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [1, 0, 1], [0, 0, 1]], [[0, 1, 2], [0, 2, 3]]), None),
    ],
    ids=["half", "other half", "bowl", "turned", "closed", "spoon", "card"],
)
def test_planes_along_which_a_mesh_is_open_are_found(mesh, normal):
    found = find_open_plane(clean(mesh_data(mesh)))
    assert (found is None) == (normal is None)
    if normal is not None:
        assert np.abs(found[0] - normal).max() < 0.01


def test_the_whole_is_closed_and_its_halves_share_their_texels():
    mesh = mesh_data(cut(body(), (1, 0, 0)))
    half = prepare(mesh, 256, ignore_progress)
    completion = complete_half(half, 256)
    whole, count = completion.surface, len(half.faces)
    assert len(border_edges(half.faces)) > 0
    assert len(border_edges(whole.faces)) == 0
    assert np.abs(np.ptp(whole.vertices, axis=0).max() - 1) < 1e-6
    given = completion.place(half.vertices[half.faces])
    assert np.abs(whole.vertices[whole.faces[:count]] - given).max() < 1e-5
    mirrored = given[:, ::-1] * (-1, 1, 1)
    shift = whole.vertices[whole.faces[count:]] - mirrored
    assert np.abs(shift - shift[0, 0]).max() < 1e-5
    normals = whole.face_normals.astype(float)
    assert np.abs(normals[count:] - normals[:count] * (-1, 1, 1)).max() < 1e-4
    # The UVs of the finished texture are those of the half, on both halves.
    assert count_overlaps(whole.corner_uvs, 512)[1] == 0
    shared = lay_upon_another(whole)
    assert shared.tiles == half.tiles
    assert np.abs(shared.corner_uvs[:count] - half.corner_uvs).max() < 1e-6
    assert np.abs(shared.corner_uvs[count:, ::-1] - half.corner_uvs).max() < 1e-6
    assert np.abs(job_uvs(select_originals(whole), mesh) - job_uvs(half, mesh)).max() < 1e-6
    assert whole.job_faces.tolist() == 2 * half.job_faces.tolist()
    assert any("half of a body" in note for note in whole.notes)


def test_halves_on_several_tiles_keep_them():
    half = clean(mesh_data(cut(body(), (1, 0, 0))))
    uvs = np.random.default_rng(0).uniform(0.1, 0.4, (len(half.faces), 3, 2)).astype(np.float32)
    right = (half.corner_normals[:, 0, 1] > 0)[:, None, None]
    gathered = replace(half, corner_uvs=uvs + np.where(right, np.float32([0.5, 0]), 0), tiles=(1001, 1012))
    whole = complete_half(gathered, 256).surface
    assert whole.tiles == (1001, 1001, 1012, 1012)
    assert np.abs(lay_upon_another(whole).corner_uvs[: len(half.faces)] - gathered.corner_uvs).max() < 1e-5
