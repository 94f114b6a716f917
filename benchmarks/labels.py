"""Choosing one view per voxel: what the labelling costs, and the time, beside greedy, ICM, gco-wrapper and
full alpha-expansion.

Two orbits of 61 views at 512², radius 1.5, 49.1 degrees; a view costs 1 - cosine, a border 5 per face
between voxels.
Every solver gets the same problem and runs in a process of its own (Linux: forked). gco-wrapper and full
expansion start from greedy, know all views at full resolution and run until nothing improves; of gco-wrapper
only the expansion itself is timed. Seconds are of CPU, as no solver uses more than one core.
"""

import multiprocessing
import time
from collections.abc import Callable

import numpy as np
from gco.pygco import GCO
from numba import njit

from backend.bake.alpha_expansion import build_graph
from backend.bake.view_selection import MAX_QUALITY, ViewSelectionConfig, select_views
from backend.mesh.surface import Surface
from backend.mesh.voxels import Voxels, voxelize
from backend.render.camera import horizontal_orbit, vertical_orbit
from backend.render.rasterize import render
from backend.render.visibility import edge_distance, find_winding, observe

from .report import Report, parser, peak_gigabytes
from .scenes import suzanne, text_knot

BORDER_COST = 5
"""Lambda, per face between voxels."""

IMPOSSIBLE_COST = 1_000_000
"""Cost for gco-wrapper of a view that does not see a voxel: more than any labelling could save by taking
it."""

MESHES = {"suzanne": suzanne, "text-knot": text_knot}


def build_problem(surface: Surface, resolution: int) -> tuple[Voxels, np.ndarray]:
    """The voxels and (N, T) uint8 how squarely each view sees them."""
    cameras = [
        camera
        for orbit in (horizontal_orbit, vertical_orbit)
        for camera in (*orbit(60, 1.5, 35 / 32, 512).cameras, orbit(60, 1.5, 35 / 32, 512).cameras[0])
    ]
    buffers = render(surface, cameras)
    winding = find_winding(surface, buffers)
    voxels = voxelize(surface, resolution)
    quality = np.zeros((len(buffers), len(voxels)), np.uint8)
    for view, buffer in enumerate(buffers):
        cosine, edge = observe(
            voxels.positions, voxels.normals, buffer, edge_distance(buffer), winding[voxels.face]
        )
        quality[view] = np.where((cosine >= 0.05) & (edge >= 1), np.ceil(MAX_QUALITY * cosine), 0)
    return voxels, quality.T


def energy(voxels: Voxels, quality: np.ndarray, chosen: np.ndarray) -> float:
    """Eq. 8, over the voxels that some view sees. Raises AssertionError where a voxel's view does not see
    it."""
    seen = quality.max(axis=1) > 0
    taken = quality[np.flatnonzero(seen), chosen[seen]]
    assert (taken > 0).all()
    a, b = chosen[_inner_edges(voxels, seen)].T
    return float((1 - taken / MAX_QUALITY).sum() + BORDER_COST * (a != b).sum())


def _inner_edges(voxels: Voxels, seen: np.ndarray) -> np.ndarray:
    return voxels.edges[seen[voxels.edges].all(axis=1)]


def ours(voxels: Voxels, quality: np.ndarray) -> np.ndarray:
    """Coarse to fine."""
    return select_views(voxels, quality, BORDER_COST)


def full_expansion(voxels: Voxels, quality: np.ndarray) -> np.ndarray:
    """Our alpha-expansion on one grid."""
    return select_views(voxels, quality, BORDER_COST, config=ViewSelectionConfig(coarsest=voxels.resolution))


def greedy(voxels: Voxels, quality: np.ndarray) -> np.ndarray:
    """The best view of each voxel."""
    return quality.argmax(axis=1)


def iterated_conditional_modes(voxels: Voxels, quality: np.ndarray) -> np.ndarray:
    """Iterated conditional modes (Besag 1986) from greedy: each voxel in turn takes its best view given its
    neighbours."""
    edges = _inner_edges(voxels, quality.max(axis=1) > 0)
    graph = build_graph(len(voxels), edges, np.ones(len(edges), np.int32))
    chosen = quality.argmax(axis=1)
    _icm(graph.first, graph.neighbor, quality, BORDER_COST * MAX_QUALITY, chosen)
    return chosen


@njit(cache=True)
def _icm(first, neighbor, quality, border, chosen):
    views = quality.shape[1]
    changed = True
    while changed:
        changed = False
        for n in range(len(chosen)):
            agree = np.zeros(views, np.int64)
            for k in range(first[n], first[n + 1]):
                agree[chosen[neighbor[k]]] += 1
            best = chosen[n]
            for view in range(views):
                if (
                    quality[n, view] > 0
                    and quality[n, view] + border * agree[view] > quality[n, best] + border * agree[best]
                ):
                    best = view
            changed |= best != chosen[n]
            chosen[n] = best


def gco_wrapper(voxels: Voxels, quality: np.ndarray) -> tuple[np.ndarray, float]:
    """gco-wrapper's alpha-expansion, and its seconds without the set-up."""
    seen = np.flatnonzero(quality.max(axis=1) > 0)
    index = np.full(len(voxels), -1)
    index[seen] = np.arange(len(seen))
    edges = np.sort(index[_inner_edges(voxels, index >= 0)], axis=1)
    solver = GCO()
    solver.create_general_graph(len(seen), quality.shape[1])
    solver.set_data_cost(
        np.where(quality[seen] > 0, MAX_QUALITY - quality[seen].astype(np.int32), IMPOSSIBLE_COST)
    )
    solver.set_all_neighbors(edges[:, 0], edges[:, 1], np.full(len(edges), BORDER_COST * MAX_QUALITY))
    solver.set_smooth_cost(1 - np.eye(quality.shape[1], dtype=np.int32))
    for site, view in enumerate(quality[seen].argmax(axis=1)):
        solver.init_label_at_site(site, view)
    start = time.process_time()
    solver.expansion()
    seconds = time.process_time() - start
    chosen = np.full(len(voxels), -1)
    chosen[seen] = solver.get_labels()
    return chosen, seconds


def run_in_process(solve: Callable, voxels: Voxels, quality: np.ndarray) -> tuple[float, float, float]:
    """Energy, seconds and peak gigabytes of a solver in a process of its own."""

    def run(pipe) -> None:
        start = time.process_time()
        answer = solve(voxels, quality)
        chosen, seconds = answer if solve is gco_wrapper else (answer, time.process_time() - start)
        peak = peak_gigabytes()
        pipe.send((energy(voxels, quality, chosen), seconds, peak))

    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=run, args=(sender,))
    process.start()
    sender.close()
    result = receiver.recv()
    process.join()
    return result


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--resolution", type=int, nargs="+", default=[256, 512, 1024])
    options.add_argument("--mesh", nargs="+", choices=MESHES, default=list(MESHES))
    options.add_argument(
        "--slow-up-to",
        type=int,
        default=256,
        metavar="N",
        help="highest resolution for gco-wrapper and full expansion; "
        "at 512 they take a quarter of an hour on suzanne, more on text-knot",
    )
    arguments = options.parse_args()
    report = Report(
        ["mesh", "grid", "voxels", "solver", "energy", "over full, %", "CPU s", "times gco's speed", "GB"],
        arguments.json,
    )
    for scene in (MESHES[name]() for name in arguments.mesh):
        for solve in (ours, iterated_conditional_modes):
            solve(*build_problem(scene.surface, 32))
        for resolution in arguments.resolution:
            voxels, quality = build_problem(scene.surface, resolution)
            peers = (
                {"full expansion": full_expansion, "gco-wrapper": gco_wrapper}
                if resolution <= arguments.slow_up_to
                else {}
            )
            optimum = speed = None
            for name, solve in {
                **peers,
                "greedy": greedy,
                "ICM": iterated_conditional_modes,
                "ours": ours,
            }.items():
                value, seconds, memory = run_in_process(solve, voxels, quality)
                optimum = value if name == "full expansion" else optimum
                speed = seconds if name == "gco-wrapper" else speed
                report.add(
                    scene.name,
                    resolution,
                    len(voxels),
                    name,
                    value,
                    optimum and 100 * (value / optimum - 1),
                    seconds,
                    speed and speed / seconds,
                    memory,
                )


if __name__ == "__main__":
    main()
