"""New UVs: xatlas finds charts in parts of the mesh, charts are joined across the borders, one packing places them.

xatlas grows charts in more than linear time, so parts win even on one core (specs: 200k triangles in 16 s instead of 121 s), and its
binding holds the GIL, so parts run in processes.
"""

import os
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing

import numpy as np

from .charts import find_charts, start_chart_worker
from .edges import components
from .join import join_charts
from .pack import pack
from .parts import split
from .surface import triangle_areas, triangle_normals


def unwrap(vertices: np.ndarray, faces: np.ndarray, polygons: np.ndarray, texture_size: int,
           progress: Callable[[float], None]) -> np.ndarray:
    """Non-overlapping UVs of even texel density.

    Args:
        vertices: (V, 3) float32.
        faces: (F, 3) int32.
        polygons: (F,) int32: triangles of one polygon are never cut apart, because a polygon has one UV per corner.
        texture_size: texels along a side; charts are kept a few texels of it apart.
        progress: told the fraction done; what it raises ends the work.

    Returns:
        (F, 3, 2) float32 in 0..1.
    """
    _, polygons = np.unique(polygons, return_inverse=True)
    parts = split(vertices, faces, polygons)
    uvs, wedges = np.zeros((len(faces), 3, 2)), np.zeros((len(faces), 3), np.int64)
    with closing(_charts_of_parts([(vertices, faces[part]) for part in parts])) as charted:
        for done, (index, part_uvs, part_wedges) in enumerate(charted):
            uvs[parts[index]] = part_uvs
            wedges[parts[index]] = part_wedges + wedges.max() + 1
            progress(0.5 * (done + 1) / len(parts))
    uvs, wedges = _keep_polygons_whole(vertices, faces, polygons, uvs, wedges)
    chart = components(wedges, polygons)
    uvs, wedges, chart = join_charts(vertices, faces, uvs, wedges, chart, lambda fraction: progress(0.5 + 0.4 * fraction))
    return pack(uvs, wedges, chart, texture_size)


def _charts_of_parts(parts: list[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """``(part, uvs, wedges)`` as the parts are done; see :func:`backend.mesh.charts.find_charts`."""
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


def _keep_polygons_whole(vertices, faces, polygons, uvs, wedges):
    """A polygon that was cut gets a chart of its own: itself, laid flat."""
    corner = polygons.astype(np.int64)[:, None] * len(vertices) + faces
    _, first, corner = np.unique(corner, return_index=True, return_inverse=True)
    corner = corner.reshape(-1, 3)
    torn = (wedges.ravel()[first][corner] != wedges).any(axis=1)
    cut = np.isin(polygons, polygons[torn])
    if not cut.any():
        return uvs, wedges
    _, polygon = np.unique(polygons[cut], return_inverse=True)
    normals = triangle_normals(vertices, faces[cut]) * triangle_areas(vertices, faces[cut])[:, None]
    normal = np.stack([np.bincount(polygon, normals[:, axis]) for axis in range(3)], axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
    helper = np.where(np.abs(normal[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    across = np.cross(helper, normal)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-30)
    axes = np.stack([across, np.cross(normal, across)], axis=1)[polygon]
    uvs, wedges = uvs.copy(), wedges.copy()
    uvs[cut] = np.einsum("fcx,fax->fca", vertices[faces[cut]].astype(np.float64), axes)
    wedges[cut] = wedges.max() + 1 + corner[cut]
    return uvs, wedges
