"""OBJ and PLY files of every kind that exporters write: indices, polygons, number types, UVs."""

import struct
from itertools import pairwise

import numpy as np
import pytest

from backend.api.errors import InvalidMesh
from backend.mesh.files import read_mesh
from backend.mesh.formats.triangulate import triangulate

ARROW = [(0, 0), (4, 0), (4, 4), (3, 1)]
"""A quad whose last corner points inwards: its other diagonal lies outside."""

COMB = [(0, 0), (7, 0), (7, 5), (6, 5), (6, 1), (5, 1), (5, 5), (4, 5), (4, 1), (3, 1), (3, 5), (0, 5)]


def area_of(triangles: np.ndarray) -> np.ndarray:
    """Signed areas of triangles (n, 3, 2)."""
    a, b, c = np.moveaxis(np.float64(triangles), 1, 0)
    return np.cross(np.pad(b - a, ((0, 0), (0, 1))), np.pad(c - a, ((0, 0), (0, 1))))[:, 2] / 2


def shoelace(polygon: np.ndarray) -> float:
    return sum(a[0] * b[1] - a[1] * b[0] for a, b in pairwise([*polygon, polygon[0]])) / 2


@pytest.mark.parametrize("polygon", [ARROW, COMB, ARROW[2:] + ARROW[:2], COMB[5:] + COMB[:5]])
@pytest.mark.parametrize("turned_over", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_concave_polygon_is_covered_once_and_faces_its_side(polygon, turned_over, axis):
    polygon = polygon[::-1] if turned_over else polygon
    points = np.insert(np.float32(polygon), axis, 0.5, axis=1)
    triangles = triangulate(points, np.arange(len(points)), np.array([len(points)]))
    assert len(triangles) == len(points) - 2
    areas = area_of(np.array(polygon)[triangles])
    assert (np.sign(areas) == (-1 if turned_over else 1)).all()
    assert areas.sum() == pytest.approx(shoelace(polygon))


def test_random_star_shaped_polygons_are_covered_once():
    random = np.random.default_rng(0)
    for count in range(4, 60):
        angle = np.sort(random.random(count)) * 2 * np.pi
        if np.diff(angle, append=angle[0] + 2 * np.pi).max() > 3:
            continue
        flat = (0.1 + random.random(count))[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        triangles = triangulate(np.insert(flat, 2, 0, axis=1), np.arange(count), np.array([count]))
        areas = area_of(flat[triangles])
        assert areas.min() > -1e-9
        assert areas.sum() == pytest.approx(shoelace(flat))


@pytest.mark.parametrize(
    "points", [np.zeros((7, 3)), np.eye(3)[[0, 1, 0, 1, 2, 2, 0]], np.full((5, 3), np.nan)]
)
def test_polygons_without_an_inside_end(points):
    assert len(triangulate(points, np.arange(len(points)), np.array([len(points)]))) == len(points) - 2


def test_a_polygon_of_thousands_of_corners_ends():
    angle = np.linspace(0, 2 * np.pi, 4001)[:-1]
    radius = 1 + 0.1 * (np.arange(4000) % 2)
    points = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), 0 * angle])
    triangles = triangulate(points, np.arange(4000), np.array([4000]))
    assert area_of(points[triangles][..., :2]).sum() == pytest.approx(shoelace(points[:, :2]))


def read_obj(folder, text: str):
    (folder / "a.obj").write_text(text)
    return read_mesh(folder / "a.obj")


def test_negative_indices_count_from_where_they_stand(tmp_path):
    mesh = read_obj(
        tmp_path,
        "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt .5 0\nvt 0 .5\nf -3/-3 -2/-2 -1/-1\n"
        "v 0 0 1\nv 1 0 1\nv 0 1 1\nvt 1 1\nvt .6 1\nvt 1 .6\nf -3/-3 -2/-2 -1/-1\nf 4/-3 5/-2 -1/6\n",
    )
    corners = mesh.vertices[mesh.faces]
    assert corners[:, 0, 2].tolist() == [0, 1, 1]
    assert np.array_equal(corners[1], corners[2])
    assert mesh.uvs[mesh.faces][:, 1].tolist() == [[0.5, 0], [np.float32(0.6), 1], [np.float32(0.6), 1]]


def test_polygons_lines_and_points_of_an_obj(tmp_path):
    arrow = "".join(f"v {x} {y} 0 1 0 0\n" for x, y in ARROW)
    mesh = read_obj(
        tmp_path, f"# from\n{arrow}vt 0 0 0\nvn 0 0 1\nl 1 2 3\np 1\nf 1/1/1 2/1/1 \\\n3/1/1 4/1/1 # arrow\n"
    )
    assert area_of(mesh.vertices[mesh.faces][..., :2]).tolist() == pytest.approx([2, 2])


@pytest.mark.parametrize(
    "corners", ["1 2 3", "1/1 2/2 3/3", "1//1 2//1 3//1", "1/1/1 2/2/1 3/3/1", "1/1 2 3//1"]
)
def test_corners_with_and_without_uvs_and_normals(tmp_path, corners):
    text = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nvn 0 0 1\n"
    mesh = read_obj(tmp_path, f"{text}f {corners}\n")
    assert mesh.vertices[mesh.faces[0]].tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    if corners.startswith("1/1") and "/3" in corners:
        assert mesh.uvs[mesh.faces[0]].tolist() == [[0, 0], [1, 0], [0, 1]]


def test_a_vertex_with_two_uvs_has_both(tmp_path):
    mesh = read_obj(
        tmp_path,
        "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt .5 .5\nvt 0 1\n"
        "f 1/1 2/2 3/3\nf 1/4 3/3 4/5\n",
    )
    assert mesh.uvs[mesh.faces][:, 0].tolist() == [[0, 0], [0.5, 0.5]]
    assert mesh.vertices[mesh.faces][:, 0].tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("face", ["f 1 2 4", "f -4 -2 -1", "f 0 1 2", "f 1/1 2/1 3/9", "f 1//2 2//2 3//2"])
def test_an_obj_face_that_points_nowhere_is_refused(tmp_path, face):
    with pytest.raises(InvalidMesh, match=r"a\.obj cannot be read \(a face points at a"):
        read_obj(tmp_path, f"v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\n{face}\n")


POINTS = [(0, 0), (4, 0), (4, 4), (3, 1), (9, 0), (9, 9), (7, 5), (8, 1)]
POLYGONS = [[0, 1, 2, 3], [1, 4, 2], [4, 5, 6, 2, 7]]
"""A concave quad, a triangle and a concave polygon of five corners."""


def ply(
    order: str, vertex: dict[str, str] | None = None, uv_list: bool = False, count: str = "uchar"
) -> bytes:
    """A PLY file of these polygons in a byte order, or ASCII; the vertices have more properties by type."""
    names = {"": "ascii", "<": "binary_little_endian", ">": "binary_big_endian"}
    vertex = {"x": "float", "y": "double", "z": "float"} | (vertex or {})
    head = [
        "ply",
        f"format {names[order]} 1.0",
        "comment made by hand",
        "element camera 1",
        "property float zoom",
        f"element vertex {len(POINTS)}",
        *(f"property {kind} {name}" for name, kind in vertex.items()),
        f"element face {len(POLYGONS)}",
        "property uchar flags",
        f"property list {count} int vertex_indices",
        *(["property list uchar float texcoord"] if uv_list else []),
        "property float quality",
        "element edge 1",
        "property list uchar int ends",
        "end_header\n",
    ]
    code = {"float": "f", "double": "d", "uchar": "B", "int": "i", "ushort": "H", "short": "h", "uint": "I"}
    items = [("f", 2.5)]
    for index, (x, y) in enumerate(POINTS):
        known = {"x": x, "y": y, "z": 0}
        items += [(code[kind], known.get(name, uv_of(index, name))) for name, kind in vertex.items()]
    for number, polygon in enumerate(POLYGONS):
        items += [("B", 7), (code[count], len(polygon)), *(("i", index) for index in polygon)]
        if uv_list:
            items.append(("B", 2 * len(polygon)))
            items += [("f", value) for index in polygon for value in (index / 8, number / 4)]
        items.append(("f", 0.5))
    items += [("B", 2), ("i", 0), ("i", 1)]
    if not order:
        return ("\n".join(head) + "\n".join(str(value) for _, value in items)).encode()
    return "\n".join(head).encode() + b"".join(struct.pack(order + kind, value) for kind, value in items)


def uv_of(index: int, name: str) -> float:
    """A value for a property besides the position."""
    if name in ("s", "u", "texture_u", "texture_s"):
        return index / 8
    return 1 - index / 16 if name in ("t", "v", "texture_v", "texture_t") else 200


ORDERS = pytest.mark.parametrize("order", ["", "<", ">"])


@ORDERS
@pytest.mark.parametrize("count", ["uchar", "ushort", "uint"])
def test_ply_polygons_of_any_size_are_mixed(tmp_path, order, count):
    (tmp_path / "a.ply").write_bytes(ply(order, {"red": "uchar", "alpha": "double"}, count=count))
    mesh = read_mesh(tmp_path / "a.ply")
    areas = area_of(mesh.vertices[mesh.faces][..., :2])
    assert (len(areas), (areas >= 0).all()) == (2 + 1 + 3, True)
    expected = [shoelace(np.array(POINTS)[polygon]) for polygon in POLYGONS]
    assert [areas[:2].sum(), areas[2], areas[3:].sum()] == pytest.approx(expected)
    assert mesh.uvs is None


@ORDERS
@pytest.mark.parametrize("names", [("s", "t"), ("u", "v"), ("texture_u", "texture_v")])
def test_ply_uvs_per_vertex(tmp_path, order, names):
    vertex = {"quality": "short", names[0]: "float", names[1]: "float"}
    (tmp_path / "a.ply").write_bytes(ply(order, vertex))
    mesh = read_mesh(tmp_path / "a.ply")
    assert np.array_equal(mesh.uvs, np.float32([(k / 8, 1 - k / 16) for k in range(len(POINTS))]))


@ORDERS
def test_ply_uvs_per_corner(tmp_path, order):
    (tmp_path / "a.ply").write_bytes(ply(order, uv_list=True))
    mesh = read_mesh(tmp_path / "a.ply")
    polygon = [0, 0, 1, 2, 2, 2]
    assert np.array_equal(mesh.uvs[mesh.faces][..., 1], np.float32(polygon)[:, None].repeat(3, 1) / 4)
    points = mesh.point_of[mesh.faces]
    assert np.array_equal(mesh.uvs[mesh.faces][..., 0], points / np.float32(8))
    assert np.array_equal(mesh.points[:, :2], np.float32(POINTS))


def test_ply_strips_are_triangles(tmp_path):
    head = "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
    strips = "element tristrips 1\nproperty list int int vertex_indices\nend_header\n"
    (tmp_path / "a.ply").write_text(head + strips + "0 0 0\n1 0 0\n0 1 0\n1 1 0\n8 0 1 2 3 -1 0 1 2\n")
    mesh = read_mesh(tmp_path / "a.ply")
    assert area_of(mesh.vertices[mesh.faces][..., :2]).tolist() == [0.5, 0.5, 0.5]


@ORDERS
def test_a_ply_cut_short_is_refused(tmp_path, order):
    data = ply(order)
    for end in (len(data) - 12, len(data) // 2 + 100):
        (tmp_path / "a.ply").write_bytes(data[:end])
        with pytest.raises(InvalidMesh, match=r"a\.ply cannot be read"):
            read_mesh(tmp_path / "a.ply")
