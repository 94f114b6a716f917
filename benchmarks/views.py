"""The view search: for how many random images it finds the camera, and whether it reports its doubt if it
does not.

    python -m benchmarks.views [--meshes spot ...] [--pictures warped ...] [--views 20] [--json FILE]

A textured mesh is photographed, unlit and without background, at 512 x 512 from any azimuth, elevations of
-40 to 40 degrees, with a field of view of 20 to 60 degrees, slightly off centre. ``found`` counts the views
within 3 degrees (all of the rotation) and 2 % of scale (image widths per unit, at the object's middle).
``same picture`` also counts the views under which the bare mesh looks the same: its outlines overlap by 98 %
and its normals, as the camera sees them, differ by less than 3 degrees on average. No search that knows only
the mesh and an image of unknown paint can distinguish such views. The last two meshes have rotational
symmetry and so many such views; they are listed, but do not count in ``five``.

``told`` counts the missed views whose doubt the search reported, ``doubted`` the found views for which it
reported one too. Since hardly any of these images are missed, ``--pictures`` selects degraded ones
(:mod:`benchmarks.degraded_images`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import trimesh

from backend.paint.camera.search import find_view
from backend.paint.reference import Reference
from backend.render.camera import Camera, look_at_origin
from backend.render.rasterize import normals, rasterize

from . import scenes
from .degraded_images import KINDS, degrade
from .report import Report, parser, timed
from .scenes import ASSETS, Scene

IMAGE_SIZE = 512
"""Pixels along the sides of the images."""

MAX_DEGREES = 3.0
"""Largest rotation between the found camera and the true one."""

MAX_SCALE_ERROR = 0.02
"""Largest error of the found scale, as a fraction."""

SAME_OVERLAP = 0.98
"""Smallest overlap of the outlines of two views that look the same."""

SAME_DEGREES = 3.0
"""Largest mean angle between the normals of two views that look the same."""

COLUMNS = [
    "mesh",
    "pictures",
    "views",
    "found",
    "same picture",
    "missed",
    "told",
    "doubted",
    "degrees, median",
    "pixels, median",
    "s, mean",
    "s, most",
]


@dataclass(frozen=True)
class Trial:
    """The result for one image; errors are infinite if the image is of another mesh.

    Attributes:
        degrees: rotation between the found camera and the true one.
        scale: error of the scale, as a fraction.
        pixels: mean distance between where the two cameras see the mesh.
        same: the bare mesh looks the same from both.
        confident: the search reported no doubt.
        seconds: of the search.
    """

    degrees: float
    scale: float
    pixels: float
    same: bool
    confident: bool
    seconds: float

    @property
    def found(self) -> bool:
        return self.degrees <= MAX_DEGREES and self.scale <= MAX_SCALE_ERROR


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--meshes", nargs="*", default=list(MESHES), choices=list(MESHES))
    options.add_argument("--pictures", nargs="*", default=["whole"], choices=KINDS)
    options.add_argument("--views", type=int, default=20, help="per mesh and kind of image")
    options.add_argument("--each", action="store_true", help="a row per view")
    chosen = options.parse_args()
    report = Report(COLUMNS, chosen.json)
    meshes = {name: MESHES[name]() for name in chosen.meshes}
    for kind in chosen.pictures:
        five = []
        for name, scene in meshes.items():
            trials = run_trials(kind, scene, MESHES[OTHER.get(name, "spot")](), chosen.views, chosen.each)
            report.add(name, kind, *summarise(trials))
            five += trials if name not in SYMMETRIC else []
        report.add("five", kind, *summarise(five))


def run_trials(kind: str, scene: Scene, other: Scene, views: int, each: bool) -> list[Trial]:
    """The results for random images of one kind."""
    random = np.random.default_rng(sum(map(ord, scene.name)) + 1000 * KINDS.index(kind))
    trials = []
    for _ in range(views):
        camera = random_camera(other if kind == "other" else scene, random)
        trials.append(run_trial(kind, scene, *degrade(kind, scene, camera, random, other)))
        if each:
            print(trials[-1], flush=True)
    return trials


def summarise(trials: list[Trial]) -> tuple:
    """A row of the table, without the mesh and the kind of image."""
    if not trials:
        return (0, *[None] * 9)
    missed = [trial for trial in trials if not trial.found]
    found = [trial for trial in trials if trial.found]
    reported = sum(not trial.confident for trial in missed)
    doubted = sum(not trial.confident for trial in found)
    seconds = [trial.seconds for trial in trials]
    return (
        len(trials),
        len(found),
        len(found) + sum(trial.same for trial in missed),
        len(missed),
        reported,
        doubted,
        float(np.median([trial.degrees for trial in trials])),
        float(np.median([trial.pixels for trial in trials])),
        float(np.mean(seconds)),
        max(seconds),
    )


def random_camera(scene: Scene, random: np.random.Generator) -> Camera:
    """A camera with all of the mesh in its image, filling most of it."""
    rotation = look_at_origin(random.uniform(-180, 180), random.uniform(-40, 40))
    focal = 0.5 / np.tan(np.radians(random.uniform(20, 60) / 2))
    reach = float(np.linalg.norm(scene.surface.vertices, axis=1).max())
    distance = reach * np.hypot(1, focal / (random.uniform(0.75, 0.95) / 2))
    return Camera(
        rotation,
        distance * rotation[:, 2],
        focal,
        tuple(random.uniform(0.48, 0.52, 2)),
        IMAGE_SIZE,
        IMAGE_SIZE,
    )


def run_trial(kind: str, scene: Scene, reference: Reference, camera: Camera) -> Trial:
    """Searches the view of one image and compares it with the true camera."""
    with timed() as clock:
        match = find_view(scene.surface, reference.alpha, None, lambda fraction: None, reference.color)
    if kind == "other":
        return Trial(np.inf, np.inf, np.inf, False, match.confident, clock.seconds)
    found = match.view.camera(camera.width, camera.height)
    degrees = np.degrees(np.arccos(np.clip((np.trace(camera.rotation.T @ found.rotation) - 1) / 2, -1, 1)))
    scale = abs(match.view.zoom * np.linalg.norm(camera.position) / camera.focal - 1)
    points = scene.surface.vertices.astype(np.float64)
    pixels = np.linalg.norm(camera.project(points)[0] - found.project(points)[0], axis=1).mean()
    return Trial(
        degrees=float(degrees),
        scale=float(scale),
        pixels=float(pixels),
        same=looks_same(scene, camera, found),
        confident=match.confident,
        seconds=clock.seconds,
    )


def looks_same(scene: Scene, one: Camera, other: Camera) -> bool:
    """Whether the bare mesh looks the same from two cameras, as described above."""
    buffers = [rasterize(scene.surface.vertices, scene.surface.faces, camera) for camera in (one, other)]
    both, either = buffers[0].mask & buffers[1].mask, buffers[0].mask | buffers[1].mask
    if both.sum() < SAME_OVERLAP * either.sum():
        return False
    seen = [normals(buffer, scene.surface)[both] @ buffer.camera.rotation for buffer in buffers]
    angle = np.degrees(np.arccos(np.clip((seen[0] * seen[1]).sum(axis=1), -1, 1)))
    return float(angle.mean()) < SAME_DEGREES


def patterned_scene(name: str, mesh: trimesh.Trimesh) -> Scene:
    """A mesh under the procedural pattern."""
    surface = scenes.surface_of(np.asarray(mesh.vertices), np.asarray(mesh.faces))
    return Scene(name, surface, lambda face, weights, points: scenes.pattern(points))


def rocker_arm() -> Scene:
    return patterned_scene("rocker-arm", trimesh.load(ASSETS / "rocker-arm.obj", process=False, force="mesh"))


def chair() -> Scene:
    """Seven boards and sticks: flat faces, holes, and mirror symmetry."""
    parts = [
        ((0.9, 0.9, 0.08), (0, 0, 0.9)),
        ((0.9, 0.06, 0.5), (0, 0.44, 1.55)),
        ((0.7, 0.05, 0.06), (0, -0.38, 0.4)),
    ]
    parts += [
        ((0.09, 0.09, 0.9 if y < 0 else 1.8), (x, y, 0.45 if y < 0 else 0.9))
        for x in (-0.4, 0.4)
        for y in (-0.4, 0.4)
    ]
    boards = [trimesh.creation.box(size).apply_translation(place) for size, place in parts]
    return patterned_scene("chair", trimesh.util.concatenate(boards).subdivide_to_size(0.1))


def lopsided_knot() -> Scene:
    """A tube whose loops differ in size, so that it has no symmetry."""
    mesh, _ = scenes.tube(480, 48)
    vertices = np.asarray(mesh.vertices)
    mesh.vertices = vertices * (1 + vertices @ (0.08, 0.05, 0.06))[:, None]
    return patterned_scene("knot", mesh)


MESHES: dict[str, Callable[[], Scene]] = {
    "suzanne": scenes.suzanne,
    "spot": lambda: scenes.real_mesh("spot"),
    "rocker-arm": rocker_arm,
    "chair": chair,
    "knot": lopsided_knot,
    "text knot": scenes.text_knot,
    "fuze": lambda: scenes.real_mesh("fuze"),
}
OTHER = {"spot": "suzanne"}
"""The mesh that images of another mesh show, if it is not spot."""

SYMMETRIC = ("text knot", "fuze")
"""Meshes with rotational symmetry, which do not count in the summary."""


if __name__ == "__main__":
    main()
