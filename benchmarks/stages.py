"""Where the time goes from 122 painted frames to a texture: every stage after the painter, and the parts of
the bake.

    python -m benchmarks.stages [--scenes knot suzanne ...] [--json FILE]

The frames drift by 3 pixels, each on its own; the grid has 512 voxels, the texture 2k. Parts are timed where
the stages call them.
"""

import time
from collections.abc import Callable
from functools import wraps

import numpy as np

from backend.align import align as alignment
from backend.bake import bake as baking
from backend.fuse.observations import PaintedViews
from backend.render.rasterize import render
from backend.render.visibility import edge_distances, find_winding

from . import scenes
from .bake import CONDITIONS, FRAME_SIZE, ORBIT_VIEWS, SCENES, TEXTURE_SIZE, horizontal_orbit, vertical_orbit
from .damage import damage_frames
from .methods import VOXEL_RESOLUTION
from .report import Report, parser, peak_gigabytes

TIMED_FUNCTIONS = {
    alignment: ("observe_atlas", "map_parallel", "_remove_common_drift", "blend"),
    baking: (
        "match_low_band",
        "voxelize",
        "voxel_statistics",
        "view_quality",
        "select_views",
        "locate_texels",
        "_start_at_labels",
        "downweight_other_views",
        "fit_texture",
        "fill_unseen",
        "equalise_seams",
        "interpolate",
        "blend",
        "to_atlas",
    ),
}

STAGE_ORDER = ("render", "edges", "align", "bake", "all")

COLUMNS = ["scene", "triangles", "stage", "part", "s", "CPU s", "GB so far"]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--scenes", nargs="*", default=["knot"], choices=["knot", *SCENES])
    chosen = options.parse_args()
    report = Report(COLUMNS, chosen.json)
    for name in chosen.scenes:
        measure(SCENES[name]() if name in SCENES else scenes.text_knot(708, 71), report)


def measure(scene: scenes.Scene, report: Report) -> None:
    cameras = [
        *horizontal_orbit(ORBIT_VIEWS, 1.5, 35 / 32, FRAME_SIZE).cameras,
        *vertical_orbit(ORBIT_VIEWS, 1.5, 35 / 32, FRAME_SIZE).cameras,
    ]
    images = damage_frames(
        [scene.photograph(camera) for camera in cameras], [ORBIT_VIEWS, ORBIT_VIEWS], CONDITIONS["3"]
    )
    run(scene, cameras, images)  # compiles
    costs = run(scene, cameras, images)
    costs["all", ""] = np.sum([cost for (_, part), cost in costs.items() if not part], axis=0)
    for (stage, part), (wall, cpu) in sorted(
        costs.items(), key=lambda entry: (STAGE_ORDER.index(entry[0][0]), -entry[1][0])
    ):
        report.add(scene.name, len(scene.surface.faces), stage, part or "whole", wall, cpu, peak_gigabytes())


def run(scene: scenes.Scene, cameras: list, images: list[np.ndarray]) -> dict[tuple[str, str], np.ndarray]:
    """Wall and processor seconds of the stages, and of their parts."""
    costs: dict[tuple[str, str], np.ndarray] = {}

    def timed(stage: str, part: str, work: Callable) -> Callable:
        @wraps(work)
        def call(*arguments, **named):
            start = np.array([time.perf_counter(), time.process_time()])
            result = work(*arguments, **named)
            costs[stage, part] = (
                costs.get((stage, part), 0) + np.array([time.perf_counter(), time.process_time()]) - start
            )
            return result

        return call

    buffers = timed("render", "", render)(scene.surface, cameras)
    edges = timed("edges", "", edge_distances)(buffers)
    winding = find_winding(scene.surface, buffers)
    painted = PaintedViews(buffers, edges, winding, np.ones(len(buffers), np.float32))
    parts = [
        (module, name, getattr(module, name)) for module, names in TIMED_FUNCTIONS.items() for name in names
    ]
    for module, name, work in parts:
        setattr(module, name, timed(module.__name__.rpartition(".")[2], name.strip("_"), work))
    try:
        aligned = timed("align", "", alignment.align)(scene.surface, painted, images, ignore_progress)
        timed("bake", "", baking.bake)(
            scene.surface,
            painted,
            aligned,
            TEXTURE_SIZE,
            VOXEL_RESOLUTION,
            0,
            ignore_progress,
        )
    finally:
        for module, name, work in parts:
            setattr(module, name, work)
    return costs


def ignore_progress(fraction: float) -> None:
    pass


if __name__ == "__main__":
    main()
