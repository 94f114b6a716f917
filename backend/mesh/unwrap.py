"""New UVs with xatlas: split in space, charts per part in processes, one packing of all charts.

xatlas grows charts in more than linear time, so parts win even on one core (specs: 200k triangles in 16 s instead of 121 s), and its
binding holds the GIL, so parts run in processes.
"""

import os
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing

import numpy as np
import xatlas

from .charts import find_charts, start_chart_worker
from .surface import triangle_areas, triangle_normals

PART_FACES = 5000
"""Triangles per part: below this xatlas is fast, and part borders cut more charts."""


def unwrap(vertices: np.ndarray, faces: np.ndarray, polygons: np.ndarray, texture_size: int,
           progress: Callable[[float], None]) -> np.ndarray:
    """Non-overlapping UVs of even texel density.

    Args:
        vertices: (V, 3) float32.
        faces: (F, 3) int32.
        polygons: (F,) int32: triangles of one polygon are never cut apart, because a polygon has one UV per corner.
        texture_size: texels along a side; charts are kept a few texels of it apart.
        progress: told the fraction done.

    Returns:
        (F, 3, 2) float32 in 0..1.
    """
    parts = split(vertices, faces, polygons)
    coordinates = np.zeros((len(faces), 3, 2))
    chart = np.zeros(len(faces), np.int64)
    with closing(_charts_of_parts([(vertices, faces[part]) for part in parts])) as charted:
        for done, (index, uvs, charts) in enumerate(charted):
            coordinates[parts[index]] = uvs
            chart[parts[index]] = charts + chart.max() + 1
            progress(0.8 * (done + 1) / len(parts))
    coordinates, chart = _keep_polygons_whole(vertices, faces, polygons, coordinates, chart)
    coordinates = _even_density(vertices, faces, coordinates, chart)
    return _pack(faces, polygons, coordinates, chart, texture_size)


def split(vertices: np.ndarray, faces: np.ndarray, polygons: np.ndarray) -> list[np.ndarray]:
    """Face indices per part: recursive bisection at the median of the longest side, polygons kept whole."""
    centres = vertices[faces].mean(axis=1, dtype=np.float64)
    _, polygon = np.unique(polygons, return_inverse=True)
    count = np.bincount(polygon)
    centres = np.stack([np.bincount(polygon, centres[:, axis]) / count for axis in range(3)], axis=1)[polygon]
    parts, waiting = [], [np.arange(len(faces))]
    while waiting:
        part = waiting.pop()
        place = centres[part]
        axis = int(np.argmax(np.ptp(place, axis=0)))
        upper = place[:, axis] > np.median(place[:, axis])
        if len(part) <= PART_FACES or not upper.any():
            parts.append(part)
        else:
            waiting += [part[upper], part[~upper]]
    return parts


def _charts_of_parts(parts: list[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """``(part, uvs, charts)`` as the parts are done; see :func:`backend.mesh.charts.find_charts`."""
    if len(parts) == 1:
        yield 0, *find_charts(*parts[0])
        return
    idle = queue.SimpleQueue()
    workers = [start_chart_worker() for _ in range(min(len(parts), os.cpu_count() or 1))]
    for worker in workers:
        idle.put(worker)

    def work(index: int) -> tuple[int, np.ndarray, np.ndarray]:
        worker = idle.get()
        result = worker.find_charts(*_compact(*parts[index]))
        idle.put(worker)
        return index, *result

    pool = ThreadPoolExecutor(len(workers))
    try:
        for future in as_completed([pool.submit(work, index) for index in range(len(parts))]):
            yield future.result()
    finally:
        # Ending the processes first wakes the threads that wait for them.
        for worker in workers:
            worker.end()
        pool.shutdown(cancel_futures=True)


def _compact(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    used, local = np.unique(faces, return_inverse=True)
    return vertices[used], local.reshape(-1, 3).astype(np.int32)


def _keep_polygons_whole(vertices, faces, polygons, coordinates, chart):
    """A polygon that was cut gets a chart of its own: itself, laid flat."""
    key = polygons.astype(np.int64)[:, None] * len(vertices) + faces
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    inverse = inverse.reshape(key.shape)
    moved = np.abs(coordinates.reshape(-1, 2)[first][inverse] - coordinates).max(axis=(1, 2)) > 1e-6
    torn = moved | (chart[first // 3][inverse] != chart[:, None]).any(axis=1)
    cut = np.isin(polygons, polygons[torn])
    if not cut.any():
        return coordinates, chart
    coordinates, chart = coordinates.copy(), chart.copy()
    _, polygon = np.unique(polygons[cut], return_inverse=True)
    normals = triangle_normals(vertices, faces[cut]) * triangle_areas(vertices, faces[cut])[:, None]
    normal = np.stack([np.bincount(polygon, normals[:, axis]) for axis in range(3)], axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
    helper = np.where(np.abs(normal[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    across = np.cross(helper, normal)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-30)
    axes = np.stack([across, np.cross(normal, across)], axis=1)[polygon]
    coordinates[cut] = np.einsum("fcx,fax->fca", vertices[faces[cut]].astype(np.float64), axes)
    chart[cut] = chart.max() + 1 + polygon
    return coordinates, chart


def _even_density(vertices, faces, coordinates, chart):
    """Scales every chart so that its area in UV is its area in space."""
    _, chart = np.unique(chart, return_inverse=True)
    edges = coordinates[:, 1:] - coordinates[:, :1]
    flat = 0.5 * np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0])
    scale = np.sqrt(np.bincount(chart, triangle_areas(vertices, faces)) / np.maximum(np.bincount(chart, flat), 1e-30))
    return coordinates * scale[chart][:, None, None]


def _pack(faces, polygons, coordinates, chart, texture_size):
    """xatlas's packer on all charts at once."""
    corner = np.column_stack([np.repeat(chart, 3), faces.ravel(), coordinates.reshape(-1, 2)])
    rows, index = np.unique(corner.round(9), axis=0, return_inverse=True)
    atlas = xatlas.Atlas()
    size = np.sqrt(triangle_areas(np.column_stack([rows[:, 2:], np.zeros(len(rows))]), index.reshape(-1, 3)).sum())
    uvs = (rows[:, 2:] / max(size, 1e-30) * texture_size).astype(np.float32)
    atlas.add_uv_mesh(uvs, index.reshape(-1, 3).astype(np.uint32), chart[:, None].astype(np.uint32))
    options = xatlas.PackOptions()
    options.resolution = texture_size
    options.padding = max(2, texture_size // 512)
    options.bilinear = True
    atlas.generate(pack_options=options)
    _, corners, packed = atlas.get_mesh(0)
    packed = packed[corners.astype(np.int64)].reshape(-1, 3, 2) * np.array([atlas.width, atlas.height], np.float32)
    return (packed / max(atlas.width, atlas.height)).astype(np.float32)
