"""New UVs: ours beside plain xatlas, in seconds and in quality.

Every layout is made in a process of its own, because xatlas 0.0.11 crashes on some meshes: then its row says
so. Columns:

- s, CPU s: wall and processor seconds, workers included. On a busy machine compare processor seconds.
- L2 ‰: the L2 stretch of Sander et al. 2001, per mille above 1, the stretch of an isometry. L∞: largest
  stretch of any triangle.
- angle, size: mean over the surface of the ratio of the singular values, and of |log2| of the area scale; 1
  and 0 are best.
- used: part of the square under triangles. seams: length of all cuts over the square root of the surface's
  area.
- tiny: charts of fewer than 8 triangles. double: texels of 2048² under two triangles. usable: what
  `why_unusable` says.
"""

import multiprocessing
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import trimesh
import xatlas

from backend.mesh.edges import components, half_lengths, next_half, twins
from backend.mesh.unwrap.flatten import l2_stretch, lay_flat, singular_values
from backend.mesh.unwrap.unwrap import unwrap
from backend.mesh.uvs import count_overlaps, why_unusable

from .report import Report, parser

ASSETS = Path(__file__).resolve().parents[2] / "shared" / "assets"
SIZE = 2048
COLUMNS = [
    "mesh",
    "triangles",
    "method",
    "s",
    "CPU s",
    "charts",
    "tiny",
    "L2 ‰",
    "L∞",
    "angle",
    "size",
    "used",
    "seams",
    "double",
    "usable",
]


def plain_xatlas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    _, corners, uvs = xatlas.parametrize(vertices, faces)
    return uvs[corners.astype(np.int64)]


def ours(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    return unwrap(vertices, faces, np.arange(len(faces)), SIZE, lambda fraction: None)


def ball(edge: int) -> trimesh.Trimesh:
    """A sphere of ``20 * edge**2`` nearly equal triangles: an icosahedron's, cut and pushed outwards."""
    steps = np.array([(i, j) for i in range(edge + 1) for j in range(edge + 1 - i)])
    number = np.full((edge + 2, edge + 2), -1)
    number[tuple(steps.T)] = np.arange(len(steps))
    i, j = steps.T
    up = np.stack([number[i, j], number[i + 1, j], number[i, j + 1]], axis=1)
    down = np.stack([number[i + 1, j], number[i + 1, j + 1], number[i, j + 1]], axis=1)
    small = np.concatenate([up, down])
    small = small[(small >= 0).all(axis=1)]
    weights = np.column_stack([edge - steps.sum(axis=1), steps]) / edge
    solid = trimesh.creation.icosahedron()
    vertices = (weights @ solid.vertices[solid.faces]).reshape(-1, 3)
    faces = (small + len(steps) * np.arange(len(solid.faces))[:, None, None]).reshape(-1, 3)
    return trimesh.Trimesh(vertices / np.linalg.norm(vertices, axis=1, keepdims=True), faces)


def blob(edge: int) -> trimesh.Trimesh:
    """A sphere with dents and bumps of many sizes, as organic models are."""
    mesh = ball(edge)
    waves = zip(np.random.default_rng(3).normal(size=(12, 3)), np.linspace(3, 14, 12), range(12), strict=True)
    bumps = sum(
        np.sin(mesh.vertices @ direction * frequency + phase) / frequency
        for direction, frequency, phase in waves
    )
    mesh.vertices *= 1 + 0.35 * bumps[:, None]
    return mesh


def machine() -> trimesh.Trimesh:
    """Two torus knots, six gears and a lattice of rods: 68 components, of which most have hard edges."""
    parts = [_knot(2, 3, 600, 24, 0.13), _knot(3, 5, 800, 20, 0.08).apply_translation((3, 0, 0))]
    for index, teeth in enumerate((12, 18, 24, 30, 16, 40)):
        parts.append(_gear(teeth, 0.5 + 0.1 * index).subdivide().apply_translation((1.5 * index - 3, 3, 0)))
    places = np.linspace(-0.9, 0.9, 5)
    for axis, (x, y) in (
        (axis, place)
        for axis in range(3)
        for place in np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2)
    ):
        rod = trimesh.creation.cylinder(0.06, 2.0, sections=12).subdivide()
        rod.vertices = np.roll(rod.vertices + np.array([x, y, 0]), axis, axis=1) - np.array([0, 3, 0])
        parts.append(rod)
    return trimesh.util.concatenate(parts)


def _knot(p: int, q: int, length: int, around: int, radius: float) -> trimesh.Trimesh:
    t = np.linspace(0, 2 * np.pi, length, endpoint=False)
    distance = 1 + 0.45 * np.cos(q * t)
    centre = np.column_stack([distance * np.cos(p * t), distance * np.sin(p * t), 0.45 * np.sin(q * t)])
    tangent = np.roll(centre, -1, 0) - np.roll(centre, 1, 0)
    side = np.cross(tangent, (0.12, 0.3, 1.0))
    up = np.cross(side, tangent)
    side, up = (axis / np.linalg.norm(axis, axis=1, keepdims=True) for axis in (side, up))
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False)[:, None]
    return _torus(centre[:, None] + radius * (np.cos(angle) * side[:, None] + np.sin(angle) * up[:, None]))


def _gear(teeth: int, radius: float) -> trimesh.Trimesh:
    angle = np.arange(4 * teeth) / (4 * teeth) * 2 * np.pi
    rim = np.where(np.arange(4 * teeth) % 4 < 2, radius, 0.82 * radius)
    rings = [(rim, 0.25), (0.35 + 0 * rim, 0.25), (0.35 + 0 * rim, -0.25), (rim, -0.25)]
    return _torus(
        np.stack([np.column_stack([r * np.cos(angle), r * np.sin(angle), z + 0 * r]) for r, z in rings])
    )


def _torus(grid: np.ndarray) -> trimesh.Trimesh:
    """A grid of points (N, M, 3), closed both ways."""
    number = np.arange(grid.shape[0] * grid.shape[1]).reshape(grid.shape[:2])
    below, right = np.roll(number, -1, axis=0), np.roll(number, -1, axis=1)
    faces = np.concatenate(
        [
            np.stack([number, below, right], axis=-1),
            np.stack([right, below, np.roll(below, -1, axis=1)], axis=-1),
        ]
    )
    return trimesh.Trimesh(grid.reshape(-1, 3), faces.reshape(-1, 3), process=False)


def from_file(path: Path) -> trimesh.Trimesh:
    mesh = trimesh.load(path, force="mesh")
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    return mesh


MESHES: dict[str, Callable[[], trimesh.Trimesh]] = {
    "sphere 20k": lambda: ball(32),
    "machine 93k": machine,
    "blob 200k": lambda: blob(100),
    "sphere 200k": lambda: ball(100),
    "blob 1M": lambda: blob(224),
    "sphere 1M": lambda: ball(224),
}
LARGE = 500_000
"""Triangles from which plain xatlas is left out: it needs more than ten minutes or crashes."""


def quality(vertices: np.ndarray, faces: np.ndarray, uvs: np.ndarray) -> list:
    """The columns from charts on; see the top of the file."""
    _, wedges = np.unique(np.column_stack([faces.ravel(), uvs.reshape(-1, 2)]), axis=0, return_inverse=True)
    wedges = wedges.reshape(-1, 3)
    chart = components(wedges, np.arange(len(faces)))
    flat = lay_flat(vertices, faces)
    area = 0.5 * flat[:, 1, 0] * flat[:, 2, 1]
    largest, smallest = singular_values(flat, uvs.astype(np.float64))
    smallest = np.maximum(np.abs(smallest), 1e-9)
    scale = np.sqrt(area.sum() / (area * largest * smallest).sum())
    largest, smallest = scale * largest, scale * smallest
    edges, corner = twins(faces), wedges.ravel()
    cut = (corner[edges[:, 0]] != corner[next_half(edges[:, 1])]) | (
        corner[next_half(edges[:, 0])] != corner[edges[:, 1]]
    )
    seams = half_lengths(vertices, faces)[edges[cut, 0]].sum() / np.sqrt(area.sum())
    covered, double = count_overlaps(np.ascontiguousarray(uvs, np.float32), SIZE)
    return [
        int(chart.max()) + 1,
        int((np.bincount(chart) < 8).sum()),
        1000 * (l2_stretch(largest, smallest, area) - 1),
        float(1 / smallest.min()),
        float(np.average(largest / smallest, weights=area)),
        float(np.average(np.abs(np.log2(largest * smallest)), weights=area)),
        covered / SIZE**2,
        float(seams),
        double,
        why_unusable(uvs) or "yes",
    ]


def measured(method: Callable, vertices: np.ndarray, faces: np.ndarray) -> list | None:
    """Seconds, processor seconds and :func:`quality`; None if the process ended on the way."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(sender, method, vertices, faces))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        return None
    finally:
        process.join()


def _measure(sender, method, vertices, faces):
    # Compiled code is read from its cache first: that is no part of unwrapping.
    method(*_arrays(trimesh.creation.icosphere(3)))
    start, used = time.perf_counter(), _processor_seconds()
    uvs = np.ascontiguousarray(method(vertices, faces), np.float32)
    seconds, used = time.perf_counter() - start, _processor_seconds() - used
    sender.send([seconds, used, *quality(vertices, faces, uvs)])


def _processor_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _arrays(mesh: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.int32)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--only", nargs="+", metavar="NAME", help="these meshes: " + ", ".join(MESHES))
    options.add_argument(
        "--mesh",
        nargs="+",
        type=Path,
        default=sorted(ASSETS.rglob("*.obj")),
        metavar="FILE",
        help="these files besides",
    )
    arguments = options.parse_args()
    report = Report(COLUMNS, arguments.json)
    meshes = {path.stem: lambda path=path: from_file(path) for path in arguments.mesh} | MESHES
    for name in arguments.only or meshes:
        vertices, faces = _arrays(meshes[name]())
        for method in (plain_xatlas, ours):
            if method is ours or len(faces) < LARGE:
                row = measured(method, vertices, faces) or [None] * (len(COLUMNS) - 4) + ["crashed"]
                report.add(name, len(faces), method.__name__.replace("_", " "), *row)


if __name__ == "__main__":
    main()
