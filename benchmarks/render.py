"""G-buffers: two orbits of 61 views at 512², beside Embree.

Ours draws ids, barycentrics and depth, which are kept, and from them position and normal, which are let go
view by view, as painters do. embreex finds ids alone. It gets its best: rays made before the clock starts, in
tiles of 8 x 8 pixels, one view per thread, and the faster of its two kinds of scene, robust (trimesh's) and
not (which can miss between triangles). Both use all cores; each time is the best of several alternating runs,
in a process per mesh. Ratios are of processor seconds, which a busy machine disturbs least. Give meshes of
your own as files: they are subdivided to 50,000 triangles or more.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import trimesh
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from backend.mesh.prepare import normalise, weld
from backend.mesh.surface import Surface, smooth_normals
from backend.render.camera import Camera, horizontal_orbit, vertical_orbit
from backend.render.rasterize import GBuffer, normals, positions, rasterize, render

from .report import Report, parser, peak_gigabytes, timed
from .scenes import ASSETS, tube

SIZE, TILE = 512, 8
CAMERAS = [
    camera for orbit in (horizontal_orbit, vertical_orbit) for camera in orbit(61, 1.5, 35 / 32, SIZE).cameras
]
COLUMNS = [
    "mesh",
    "triangles",
    "ids s",
    "+ position and normal s",
    "CPU s",
    "GB",
    "embreex s",
    "CPU s of embreex",
    "its build s",
    "CPU, ours / embreex",
    "same ids",
    "CPU, of sphere 20k",
]


@dataclass(frozen=True)
class Row:
    """What was measured of a mesh; ``ids``, ``full`` (with position and normal) and ``embree`` are wall and
    processor seconds."""

    triangles: int
    ids: np.ndarray
    full: np.ndarray
    memory: float
    embree: np.ndarray
    build: float
    same: float


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("meshes", type=Path, nargs="*", metavar="MESH")
    arguments.add_argument("--only", nargs="+", metavar="NAME", help="these rows")
    arguments.add_argument("--repeat", type=int, default=3)
    options = arguments.parse_args()
    report, small = Report(COLUMNS, options.json), None
    for name, make, argument in meshes(options.meshes):
        if options.only and name not in options.only:
            continue
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            row = process.submit(measure, make, argument, options.repeat).result()
        small = row.full[1] if name == "sphere 20k" else small
        report.add(
            name,
            f"{row.triangles:,}",
            row.ids[0],
            *row.full,
            row.memory,
            *row.embree,
            row.build,
            row.full[1] / row.embree[1],
            row.same,
            row.full[1] / small if make is sphere and small else None,
        )


def meshes(files: list[Path]) -> list[tuple[str, Callable, object]]:
    """Names, and how to make vertices (V, 3) and faces (F, 3)."""
    spheres = [
        (f"sphere {name}", sphere, count)
        for name, count in (("20k", 20_000), ("200k", 200_000), ("1M", 1_000_000))
    ]
    real = [*ASSETS.rglob("*_triangulated.obj"), *files]
    return [*spheres, ("knot 200k", knot, 200_000), *((path.stem, subdivided, path) for path in real)]


def sphere(count: int) -> tuple[np.ndarray, np.ndarray]:
    """An octahedron, its faces divided evenly into about ``count`` triangles and blown up."""
    n = round((count / 8) ** 0.5)
    i, j = (grid.ravel() for grid in np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij"))
    number = np.cumsum(i + j <= n).reshape(n + 1, n + 1) - 1
    up = np.array([(a, b) for a in range(n) for b in range(n - a)])
    down = np.array([(a, b) for a in range(n - 1) for b in range(n - 1 - a)])
    corners = np.concatenate(
        [up[:, None] + [(0, 0), (1, 0), (0, 1)], down[:, None] + [(1, 0), (1, 1), (0, 1)]]
    )
    face = number[corners[..., 0], corners[..., 1]]
    octant = np.column_stack([i, j, n - i - j])[i + j <= n] / n
    octant /= np.linalg.norm(octant, axis=1, keepdims=True)
    signs = np.array([(x, y, z) for x in (1, -1) for y in (1, -1) for z in (1, -1)])
    faces = np.concatenate(
        [(face if sign.prod() > 0 else face[:, ::-1]) + k * len(octant) for k, sign in enumerate(signs)]
    )
    joined = trimesh.Trimesh((octant * signs[:, None]).reshape(-1, 3), faces)
    return np.asarray(joined.vertices), np.asarray(joined.faces)


def knot(count: int) -> tuple[np.ndarray, np.ndarray]:
    mesh, _ = tube(round((5 * count) ** 0.5), round((count / 20) ** 0.5))
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)


def subdivided(path: Path) -> tuple[np.ndarray, np.ndarray]:
    mesh = trimesh.load(path, force="mesh")
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    while len(faces) < 50_000:
        vertices, faces = trimesh.remesh.subdivide(vertices, faces)
    return vertices, faces


def measure(make: Callable, argument, repeat: int) -> Row:
    """The numbers of a row, in a process of its own."""
    vertices, faces = make(argument)
    vertices, faces = weld(normalise(vertices, faces), faces)
    uvs = np.zeros((len(faces), 3, 2), np.float32)
    surface = Surface(vertices, faces, smooth_normals(vertices, faces), uvs, np.arange(len(faces)), True)
    shade(surface, CAMERAS[0])  # compiles
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        ids = full = embree = np.full(2, np.inf)
        memory, scenes, rays = None, [], []
        for _ in range(repeat):
            ids = np.minimum(ids, costed(render, surface, CAMERAS)[1])
            buffers, cost = costed(on_all, pool, lambda camera: shade(surface, camera), CAMERAS)
            full = np.minimum(full, cost)
            memory = memory or peak_gigabytes()
            first, buffers = buffers[0], None
            if not scenes:
                scenes = [scene(surface, robust) for robust in (True, False)]
                rays = list(pool.map(rays_of, CAMERAS))
            for tree, _ in scenes:
                found, cost = costed(on_all, pool, lambda ray, tree=tree: tree.run(*ray), rays)
                embree = np.minimum(embree, cost)
    same = float((in_tiles(first.face) == found[0]).mean())
    return Row(len(faces), ids, full, memory, embree, min(build for _, build in scenes), same)


def costed(work: Callable, *arguments) -> tuple[list, np.ndarray]:
    """What ``work`` returns, and its wall and processor seconds, of all threads."""
    start = np.array([time.perf_counter(), time.process_time()])
    result = work(*arguments)
    return result, np.array([time.perf_counter(), time.process_time()]) - start


def on_all(pool: ThreadPoolExecutor, work: Callable, things: list) -> list:
    return list(pool.map(work, things))


def shade(surface: Surface, camera: Camera) -> GBuffer:
    buffer = rasterize(surface.vertices, surface.faces, camera)
    positions(buffer)
    normals(buffer, surface)
    return buffer


def scene(surface: Surface, robust: bool) -> tuple[EmbreeScene, float]:
    """Embree's tree, and the seconds it took to build: it does so with the first ray."""
    tree = EmbreeScene(robust=robust)
    with timed() as clock:
        TriangleMesh(tree, surface.vertices[surface.faces])
        tree.run(np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32))
    return tree, clock.seconds


def rays_of(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Origins and directions (N, 3) float32 through the pixels' centres, tile by tile."""
    row, column = (in_tiles(index) for index in np.mgrid[0:SIZE, 0:SIZE])
    local = np.column_stack(
        [(column + 0.5) / SIZE - 0.5, 0.5 - (row + 0.5) / SIZE, np.full(SIZE * SIZE, -camera.focal)]
    )
    return np.full((SIZE * SIZE, 3), camera.position, np.float32), (local @ camera.rotation.T).astype(
        np.float32
    )


def in_tiles(image: np.ndarray) -> np.ndarray:
    """(H * W,) of an image (H, W), tile by tile."""
    return image.reshape(SIZE // TILE, TILE, SIZE // TILE, TILE).transpose(0, 2, 1, 3).ravel()


if __name__ == "__main__":
    main()
