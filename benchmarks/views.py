"""The view search: from how many random pictures it finds the camera, and whether it says so where it does
not.

    python -m benchmarks.views [--meshes spot ...] [--pictures warped ...] [--views 20] [--json FILE]

A textured mesh is photographed, unlit and without background, at 512 x 512 from any azimuth, elevations of
-40 to 40 degrees, with a field of view of 20 to 60 degrees, not quite in the middle. ``found`` counts the
views within 3 degrees (all of the rotation) and 2 % of scale (image widths per unit, at the object's middle).
``same picture`` counts in addition those under which the bare mesh looks the same: its outlines overlap by 98
% and its normals, as the camera sees them, differ by less than 3 degrees in the mean. No search that knows
only the mesh and a picture of unknown paint can tell such views apart. The last two meshes are symmetric by
turns, so that they have many such views; they are listed, and do not count in ``five``.

``told`` are views that missed of which the search reported a doubt, ``doubted`` those that were found of
which it did too. Since hardly a picture as above is missed, ``--pictures`` takes worse ones too
(:mod:`benchmarks.spoiled`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import trimesh

from backend.paint.draft.camera.search import find_view
from backend.paint.reference import Reference
from backend.render.camera import Camera, look_at_origin
from backend.render.rasterize import normals, rasterize

from . import scenes
from .report import Report, parser, timed
from .scenes import ASSETS, Scene
from .spoiled import KINDS, spoiled

SIZE = 512
DEGREES, SCALE = 3.0, 0.02
SAME_OVERLAP, SAME_DEGREES = 0.98, 3.0

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
    """What came of one picture: degrees and share of scale beside the truth, pixels that the mesh lies beside
    itself (infinite where the picture is of another mesh), and the rest as said above."""

    degrees: float
    scale: float
    pixels: float
    same: bool
    confident: bool
    seconds: float

    @property
    def found(self) -> bool:
        return self.degrees <= DEGREES and self.scale <= SCALE


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--meshes", nargs="*", default=list(MESHES), choices=list(MESHES))
    options.add_argument("--pictures", nargs="*", default=["whole"], choices=KINDS)
    options.add_argument("--views", type=int, default=20, help="per mesh and kind of picture")
    options.add_argument("--each", action="store_true", help="a row per view")
    chosen = options.parse_args()
    report = Report(COLUMNS, chosen.json)
    meshes = {name: MESHES[name]() for name in chosen.meshes}
    for kind in chosen.pictures:
        five = []
        for name, scene in meshes.items():
            trials = trials_of(kind, scene, MESHES[OTHER.get(name, "spot")](), chosen.views, chosen.each)
            report.add(name, kind, *summary(trials))
            five += trials if name not in SYMMETRIC else []
        report.add("five", kind, *summary(five))


def trials_of(kind: str, scene: Scene, other: Scene, views: int, each: bool) -> list[Trial]:
    """What came of random pictures of one kind."""
    random = np.random.default_rng(sum(map(ord, scene.name)) + 1000 * KINDS.index(kind))
    trials = []
    for _ in range(views):
        camera = random_camera(other if kind == "other" else scene, random)
        trials.append(attempt(kind, scene, *spoiled(kind, scene, camera, random, other)))
        if each:
            print(trials[-1], flush=True)
    return trials


def summary(trials: list[Trial]) -> tuple:
    """A row of the table."""
    if not trials:
        return (0, *[None] * 9)
    missed = [trial for trial in trials if not trial.found]
    found = [trial for trial in trials if trial.found]
    told = sum(not trial.confident for trial in missed)
    doubted = sum(not trial.confident for trial in found)
    seconds = [trial.seconds for trial in trials]
    return (
        len(trials),
        len(found),
        len(found) + sum(trial.same for trial in missed),
        len(missed),
        told,
        doubted,
        float(np.median([trial.degrees for trial in trials])),
        float(np.median([trial.pixels for trial in trials])),
        float(np.mean(seconds)),
        max(seconds),
    )


def random_camera(scene: Scene, random: np.random.Generator) -> Camera:
    """A camera that has all of the mesh in its image, and fills most of it."""
    rotation = look_at_origin(random.uniform(-180, 180), random.uniform(-40, 40))
    focal = 0.5 / np.tan(np.radians(random.uniform(20, 60) / 2))
    reach = float(np.linalg.norm(scene.surface.vertices, axis=1).max())
    distance = reach * np.hypot(1, focal / (random.uniform(0.75, 0.95) / 2))
    return Camera(
        rotation, distance * rotation[:, 2], focal, tuple(random.uniform(0.48, 0.52, 2)), SIZE, SIZE
    )


def attempt(kind: str, scene: Scene, reference: Reference, camera: Camera) -> Trial:
    with timed() as clock:
        match = find_view(scene.surface, reference.alpha, None, lambda fraction: None, reference.color)
    if kind == "other":
        return Trial(np.inf, np.inf, np.inf, False, match.confident, clock.seconds)
    found = match.view.camera(camera.width, camera.height)
    turn = np.degrees(np.arccos(np.clip((np.trace(camera.rotation.T @ found.rotation) - 1) / 2, -1, 1)))
    scale = abs(match.view.zoom * np.linalg.norm(camera.position) / camera.focal - 1)
    points = scene.surface.vertices.astype(np.float64)
    pixels = np.linalg.norm(camera.project(points)[0] - found.project(points)[0], axis=1).mean()
    return Trial(
        float(turn),
        float(scale),
        float(pixels),
        same_picture(scene, camera, found),
        match.confident,
        clock.seconds,
    )


def same_picture(scene: Scene, one: Camera, other: Camera) -> bool:
    """Whether the bare mesh looks the same from two cameras; see the top."""
    buffers = [rasterize(scene.surface.vertices, scene.surface.faces, camera) for camera in (one, other)]
    both, either = buffers[0].mask & buffers[1].mask, buffers[0].mask | buffers[1].mask
    if both.sum() < SAME_OVERLAP * either.sum():
        return False
    seen = [normals(buffer, scene.surface)[both] @ buffer.camera.rotation for buffer in buffers]
    angle = np.degrees(np.arccos(np.clip((seen[0] * seen[1]).sum(axis=1), -1, 1)))
    return float(angle.mean()) < SAME_DEGREES


def patterned(name: str, mesh: trimesh.Trimesh) -> Scene:
    """A mesh under the procedural pattern."""
    surface = scenes.surface_of(np.asarray(mesh.vertices), np.asarray(mesh.faces))
    return Scene(name, surface, lambda face, weights, points: scenes.pattern(points))


def rocker_arm() -> Scene:
    return patterned("rocker-arm", trimesh.load(ASSETS / "rocker-arm.obj", process=False, force="mesh"))


def chair() -> Scene:
    """Eight boards and sticks: flat faces, holes, and a mirror's symmetry."""
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
    return patterned("chair", trimesh.util.concatenate(boards).subdivide_to_size(0.1))


def lopsided_knot() -> Scene:
    """A tube whose loops differ in size, so that it has no symmetry."""
    mesh, _ = scenes.tube(480, 48)
    vertices = np.asarray(mesh.vertices)
    mesh.vertices = vertices * (1 + vertices @ (0.08, 0.05, 0.06))[:, None]
    return patterned("knot", mesh)


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
"""Of which mesh the pictures of another mesh are, where not of spot."""

SYMMETRIC = ("text knot", "fuze")


if __name__ == "__main__":
    main()
