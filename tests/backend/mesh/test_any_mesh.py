"""Any mesh becomes a valid surface or a clear error: cleaning, UV checks and unwrapping."""

from datetime import timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from backend.api.errors import InvalidMesh
from backend.api.job import MeshData
from backend.mesh.prepare import job_uvs, prepare
from backend.mesh.tiles import MAX_TILES
from backend.mesh.unwrap.unwrap import unwrap
from backend.mesh.uvs import count_overlaps, why_unusable

few = settings(max_examples=40, deadline=timedelta(seconds=20), derandomize=True)
fewer = settings(few, max_examples=15)

nice = st.floats(-2, 2, width=32)
tiny = st.sampled_from([0.0, 1e-12, 1e-7, 5e-7, 1e-6, 1e-3, -1e-6]).map(np.float32)
any_float = st.floats(width=32)


@st.composite
def soups(draw):
    """A mesh of up to 24 triangles with up to 16 vertices, which may have polygons, normals, UVs and
    slots."""
    count, size = draw(st.integers(1, 24)), draw(st.integers(3, 16))
    numbers = draw(st.sampled_from([nice, st.one_of(nice, tiny), any_float]))
    vertices = draw(hnp.arrays(np.float32, (size, 3), elements=numbers))
    faces = draw(hnp.arrays(np.int32, (count, 3), elements=st.integers(0, size - 1)))
    optional = {
        "polygons": hnp.arrays(np.int32, count, elements=st.integers(0, count - 1)),
        "corner_normals": hnp.arrays(np.float32, (count, 3, 3), elements=any_float),
        "corner_uvs": hnp.arrays(
            np.float32, (count, 3, 2), elements=st.one_of(st.floats(0, 1, width=32), numbers)
        ),
        "slots": hnp.arrays(np.int32, count, elements=st.integers(-5, 9)),
    }
    given_too = draw(st.sets(st.sampled_from(sorted(optional))))
    return MeshData(vertices, faces, **{name: draw(optional[name]) for name in sorted(given_too)})


@few
@given(soups())
def test_any_soup_becomes_a_valid_surface_or_a_clear_error(mesh):
    try:
        surface = prepare(mesh, 1024, lambda fraction: None)
    except InvalidMesh:
        return
    count = len(surface.faces)
    assert 0 < count <= len(mesh.faces)
    assert (np.diff(surface.job_faces) > 0).all()
    assert surface.faces.min() >= 0
    assert surface.faces.max() < len(surface.vertices)
    assert np.isfinite(surface.vertices).all()
    assert np.abs(surface.vertices).max() <= 0.5 + 1e-5
    assert np.ptp(surface.vertices, axis=0).max() > 0.5
    np.testing.assert_allclose(np.linalg.norm(surface.corner_normals, axis=2), 1, atol=0.11)
    assert surface.corner_uvs.shape == (count, 3, 2)
    assert surface.corner_uvs.dtype == np.float32
    assert surface.corner_uvs.min() >= -1e-4
    assert surface.corner_uvs.max() <= 1 + 1e-4
    assert 1 <= len(surface.tiles) <= MAX_TILES
    assert surface.unwrapped == (mesh.corner_uvs is None or "New UVs were made" in " ".join(surface.notes))
    returned = job_uvs(surface, mesh)
    assert returned.shape == (len(mesh.faces), 3, 2)
    assert np.isfinite(returned).all()


@few
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 40), st.just(3), st.just(2)),
        elements=st.one_of(st.floats(0, 1, width=32), st.floats(-3, 12, width=32), any_float),
    )
)
def test_any_layout_is_usable_or_there_is_a_reason(uvs):
    reason = why_unusable(uvs)
    if reason is None:
        assert np.isfinite(uvs).all()
        assert uvs.min() >= -1e-4
    else:
        assert reason
        assert not reason.endswith(".")


@fewer
@given(st.integers(1, 40), st.integers(3, 30), st.integers(0, 2**32 - 1), st.booleans())
def test_new_uvs_of_any_triangles_do_not_overlap(count, size, seed, flat):
    random = np.random.default_rng(seed)
    vertices = random.normal(size=(size, 3)).astype(np.float32) * (1, 1, 0 if flat else 1)
    faces = np.stack([random.permutation(size)[:3] for _ in range(count)]).astype(np.int32)
    uvs = unwrap(vertices.astype(np.float32), faces, np.arange(count), 1024, lambda fraction: None)
    assert np.isfinite(uvs).all()
    assert uvs.min() >= 0
    assert uvs.max() <= 1
    assert count_overlaps(uvs, 512)[1] == 0
