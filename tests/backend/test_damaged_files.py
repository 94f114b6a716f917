"""Damaged files of every format are read, or refused with a sentence."""

import io
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from scipy.spatial import cKDTree

from backend.api.errors import InvalidImage, InvalidMesh
from backend.local import read_kept
from backend.mesh.files import read_mesh, read_textured
from backend.paint.reference import decode
from tests.fuzz.mutations import write_glb
from tests.fuzz.readers import targets
from tests.fuzz.run import fuzz

READERS = targets()
COUNTS = {"image": 1500, "journal": 30}
"""How often a reader of many formats is tried, and one that waits for the disk; all others 300 times."""

TRIANGLE = np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize("reader", READERS)
def test_a_file_with_mistakes_is_read_or_refused_in_a_sentence(reader):
    tally = fuzz(READERS[reader], seed=0, count=COUNTS.get(reader, 300))
    assert not tally.broken
    assert tally.read
    assert tally.refused


def glb(nodes: list[dict], indices=(0, 1, 2), **changes) -> bytes:
    """A GLB of one triangle, with its nodes, of which the first is the root, and its indices."""
    tree = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": nodes,
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5125, "count": len(indices), "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteLength": 36},
            {"buffer": 0, "byteOffset": 36, "byteLength": 4 * len(indices)},
        ],
        "buffers": [{"byteLength": 36 + 4 * len(indices)}],
    }
    return write_glb(tree | changes, TRIANGLE.tobytes() + np.uint32(indices).tobytes())


def write(folder: Path, name: str, data: bytes | str) -> Path:
    (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return folder / name


@pytest.mark.parametrize("read", [read_mesh, read_textured])
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.glb", glb([{"mesh": 0}], (0, 1, 3))),
        ("a.glb", glb([{"mesh": 0}], (0, 1, 2**32 - 1))),
        ("a.glb", glb([{"mesh": 0}], (0, 1))),
        ("a.glb", glb([{"mesh": 9}])),
        ("a.glb", glb([{"mesh": 0, "scale": [1, "x", 1]}])),
        (
            "a.glb",
            glb([{"mesh": 0}], accessors=[{"componentType": 5126, "count": 2**50, "type": "VEC3"}] * 2),
        ),
        ("a.obj", "v 0 0\nv 1 0\nv 0 1\nf 1 2 3\n"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1\nf 1/1/1 2/2/1 3/3/1\n"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n"),
        ("a.obj", "nonsense"),
        ("a.ply", "ply\nformat ascii 1.0\nelement vertex 3\n"),
        ("a.stl", "solid\nfacet"),
        ("a.glb", b""),
    ],
)
def test_a_damaged_mesh_file_is_reported_by_its_name(tmp_path, name, data, read):
    with pytest.raises(InvalidMesh, match=rf"{name} (cannot be read|holds no faces|has no texture|needs)"):
        read(write(tmp_path, name, data))


def test_zeros_without_end_are_refused_before_they_are_made(tmp_path):
    accessors = [
        {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
        {"bufferView": 1, "componentType": 5125, "count": 3, "type": "SCALAR"},
        {"componentType": 5126, "count": 2**31 - 1, "type": "VEC2"},
    ]
    primitive = {"attributes": {"POSITION": 0, "TEXCOORD_0": 2}, "indices": 1}
    data = glb([{"mesh": 0}], accessors=accessors, meshes=[{"primitives": [primitive]}])
    path = write(tmp_path, "a.glb", data)
    tracemalloc.start()
    with pytest.raises(InvalidMesh, match="needs more memory"):
        read_mesh(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**26


def test_faces_that_point_nowhere_are_not_read(tmp_path):
    with pytest.raises(InvalidMesh, match="vertex that does not exist"):
        read_mesh(write(tmp_path, "a.glb", glb([{"mesh": 0}], (0, 1, 3))))


@pytest.mark.parametrize("meshes", ["in every node", "in the last node"])
def test_a_thousand_nested_nodes_are_read_at_once(tmp_path, meshes):
    own = {"mesh": 0} if meshes == "in every node" else {}
    nodes = [{"children": [i + 1], "translation": [1, 0, 0], **own} for i in range(999)]
    path = write(tmp_path, "a.glb", glb([*nodes, {"mesh": 0, "translation": [1, 0, 0]}]))
    began = time.process_time()
    mesh = read_mesh(path)
    assert time.process_time() - began < 5
    assert mesh.vertices[-1].tolist() == [1000, 1, 0]
    assert len(mesh.faces) == (1000 if own else 1)


def test_nodes_are_placed_and_mirrored_as_trimesh_places_them(tmp_path):
    random, scene = np.random.default_rng(0), trimesh.Scene()
    names = [None]
    for index in range(12):
        matrix = trimesh.transformations.random_rotation_matrix(random.random(3))
        matrix[:3, 3] = random.random(3)
        matrix[:3, 0] *= random.choice([-1, 1])
        shape = trimesh.creation.box() if index % 2 else trimesh.creation.icosphere(1)
        names.append(
            scene.add_geometry(shape, transform=matrix, parent_node_name=names[random.integers(len(names))])
        )
    scene.export(tmp_path / "a.glb")
    expected = trimesh.load(tmp_path / "a.glb", force="mesh", process=False)
    mesh = read_mesh(tmp_path / "a.glb")
    # The same triangles in any order, each from any of its corners.
    corners, others = (found.vertices[found.faces] for found in (mesh, expected))
    rolled = np.concatenate([np.roll(others, shift, axis=1) for shift in range(3)]).reshape(-1, 9)
    distance, nearest = cKDTree(rolled).query(corners.reshape(-1, 9))
    assert distance.max() < 1e-5
    assert len(np.unique(nearest % len(others))) == len(corners) == len(others)


def test_a_mesh_in_thousands_of_places_is_refused_before_it_is_copied(tmp_path):
    ball = trimesh.Scene(trimesh.creation.icosphere(6))
    for index in range(40):
        ball.graph.update(f"node {index}", geometry=next(iter(ball.geometry)))
    ball.export(tmp_path / "a.glb")
    with pytest.raises(InvalidMesh, match="the limit is"):
        read_mesh(tmp_path / "a.glb")


def encode(image: Image.Image, kind: str, **how) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def picture(shift: int = 0) -> Image.Image:
    return Image.fromarray(np.roll(np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3), shift, axis=0))


def tiff(*tags: tuple[int, int]) -> bytes:
    """A TIFF without pixels, whose tags are all 16-bit numbers."""
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)


@pytest.mark.parametrize(
    "data",
    [
        tiff((258, 8), (259, 1), (262, 1)),
        tiff((256, 32), (258, 8), (262, 1)),
        tiff((256, 32), (257, 32), (258, 8), (262, 1)),
        tiff((256, 0), (257, 0), (258, 8), (262, 1)),
        encode(picture(), "PNG")[:-60],
        encode(picture(), "GIF")[:20],
    ],
)
def test_a_damaged_image_is_reported(data):
    with pytest.raises(InvalidImage, match=r"^The reference (image )?is .*\.$"):
        decode(np.frombuffer(data, np.uint8))


def test_a_gif_cut_after_its_first_frame_gives_that_frame():
    whole = encode(picture(), "GIF", save_all=True, append_images=[picture(7), picture(11)])
    first = decode(np.frombuffer(whole, np.uint8))
    single = len(encode(picture(), "GIF"))
    for end in range(single + 40, len(whole)):
        cut = decode(np.frombuffer(whole[:end], np.uint8))
        assert np.array_equal(cut.color, first.color)
        assert all("first" in note for note in cut.notes)


def test_a_deep_grey_image_is_read_in_little_more_memory_than_it_has():
    deep = np.linspace(0, 65535, 4096 * 4096, dtype=np.uint16).reshape(4096, 4096)
    data = np.frombuffer(encode(Image.fromarray(deep), "PNG", compress_level=1), np.uint8)
    tracemalloc.start()
    reference = decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * deep.nbytes + 2 * reference.color.nbytes
    np.testing.assert_allclose(reference.color[:, 0, 0], np.linspace(0, 1, 2048), atol=0.01)


def test_a_texture_to_keep_with_too_many_pixels_is_reported(tmp_path):
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 2**20, 2**20, 8, 2, 0, 0, 0)
    mask = write(tmp_path, "mask.png", header + bytes(4))
    base = write(tmp_path, "base.png", encode(picture(), "PNG"))
    with pytest.raises(InvalidImage, match="not an image file that can be read"):
        read_kept(base, mask)
