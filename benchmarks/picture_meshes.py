"""Meshes of everyday things for ``benchmarks/pictures.py``: furniture, vehicles, a character, a plant, thin
parts.

They stand on the ground, z up, front -Y, as an artist models them; sizes are in no unit. Each triangle has
the number of its part (a seat, a wheel, hair), so that parts can be painted differently.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import trimesh
from trimesh.creation import box, capsule, cylinder, icosphere, revolve, torus
from trimesh.transformations import rotation_matrix

from . import props, scenes


@dataclass(frozen=True)
class PartMesh:
    """Triangles and their parts.

    Attributes:
        vertices: (V, 3) float64.
        faces: (F, 3) int64.
        part: (F,) int64.
    """

    vertices: np.ndarray
    faces: np.ndarray
    part: np.ndarray


def chair() -> PartMesh:
    """A wooden chair on thin legs with a slatted back."""
    legs = [_stick((x, y, 0), (0.9 * x, 0.9 * y, 0.45), 0.018) for x in (-0.21, 0.21) for y in (-0.21, 0.21)]
    posts = [_stick((x, 0.2, 0.45), (x, 0.27, 0.95), 0.018) for x in (-0.2, 0.2)]
    slats = [
        _block((0.4, 0.02, 0.06), (0, 0.22 + 0.025 * number, 0.62 + 0.13 * number)) for number in range(3)
    ]
    seat = _block((0.46, 0.46, 0.04), (0, 0, 0.47))
    return _join([(seat, 0), *((mesh, 1) for mesh in legs + posts), *((mesh, 2) for mesh in slats)])


def table_lamp() -> PartMesh:
    """A lamp with a thin bent stand and a conical shade."""
    foot = _turn([(0, 0), (0.16, 0), (0.16, 0.02), (0.02, 0.035), (0, 0.035)])
    bend = np.linspace(0, 0.5 * np.pi, 24)
    stand = [_stick((0.1, 0, 0.03), (0.1, 0, 0.5), 0.012)]
    path = np.column_stack([0.1 - 0.18 * (1 - np.cos(bend)), 0 * bend, 0.5 + 0.18 * np.sin(bend)])
    stand += [_stick(start, end, 0.012) for start, end in itertools.pairwise(path)]
    shade = _turn([(0.05, 0), (0.17, -0.2), (0.165, -0.2), (0.045, -0.005)])
    shade.apply_translation((-0.08, 0, 0.66))
    return _join([(foot, 0), *((mesh, 1) for mesh in stand), (shade, 2)])


def van() -> PartMesh:
    """A delivery van: a box with a sloping front, windows let in, four wheels, mirrors."""
    body = _prism([(-0.75, 0.2), (1.0, 0.2), (1.0, 0.95), (0.95, 1.05), (-0.45, 1.05), (-0.75, 0.62)], 0.84)
    hood = _prism([(-1.0, 0.2), (-0.7, 0.2), (-0.7, 0.63), (-1.0, 0.55)], 0.82)
    windows = [_block((0.86, 0.36, 0.24), (0, -0.33, 0.8)), _block((0.6, 0.02, 0.24), (0, 1.0, 0.78))]
    screen = _block((0.7, 0.02, 0.4), (0, 0, 0))
    screen.apply_transform(rotation_matrix(np.radians(-35), (1, 0, 0)))
    screen.apply_translation((0, -0.612, 0.84))
    wheels = [_wheel((x, y, 0.19), 0.19, 0.14) for x in (-0.4, 0.4) for y in (-0.65, 0.6)]
    lights = [_block((0.14, 0.03, 0.1), (x, -1.0, 0.42)) for x in (-0.3, 0.3)]
    mirrors = [_block((0.1, 0.03, 0.14), (x, -0.55, 0.72)) for x in (-0.5, 0.5)]
    parts = [
        (body, 0),
        (hood, 0),
        *((mesh, 1) for mesh in [*windows, screen]),
        *((mesh, 2) for mesh in wheels),
    ]
    return _join([*parts, *((mesh, 3) for mesh in lights), *((mesh, 2) for mesh in mirrors)])


def figure() -> PartMesh:
    """A standing character with shirt, trousers, shoes, head, hair, eyes and nose; one arm is raised."""
    trousers = [_limb((x, 0, 0.1), (0.75 * x, 0, 0.5), 0.075) for x in (-0.1, 0.1)]
    trousers.append(_ball((0, 0, 0.52), (0.17, 0.12, 0.1)))
    shirt = [_ball((0, 0, 0.72), (0.19, 0.13, 0.22))]
    shirt += [
        _limb((-0.17, 0, 0.85), (-0.33, -0.05, 0.66), 0.055),
        _limb((0.17, 0, 0.85), (0.36, -0.06, 1.0), 0.055),
    ]
    skin = [_ball((0, 0, 1.1), (0.17, 0.16, 0.18)), _ball((0, -0.17, 1.08), (0.03, 0.04, 0.03))]
    skin += [_ball((-0.36, -0.06, 0.62), (0.055,) * 3), _ball((0.4, -0.08, 1.05), (0.055,) * 3)]
    hair = [_ball((0, 0.05, 1.17), (0.175, 0.15, 0.15))]
    eyes = [_ball((x, -0.145, 1.13), (0.025, 0.02, 0.03)) for x in (-0.06, 0.06)]
    shoes = [_ball((x, -0.04, 0.05), (0.07, 0.13, 0.055)) for x in (-0.1, 0.1)]
    return _join(
        [
            *((mesh, 0) for mesh in trousers),
            *((mesh, 1) for mesh in shirt),
            *((mesh, 2) for mesh in skin),
            *((mesh, 3) for mesh in hair + eyes),
            *((mesh, 4) for mesh in shoes),
        ]
    )


def plant() -> PartMesh:
    """A potted plant: thin stems with curved leaves, one sheet each."""
    random = np.random.default_rng(3)
    pot = _turn(
        [(0, 0), (0.15, 0), (0.2, 0.26), (0.22, 0.26), (0.22, 0.31), (0.18, 0.31), (0.17, 0.27), (0, 0.27)]
    )
    parts = [(pot, 0)]
    for number in range(11):
        angle, lean = 2.4 * number, random.uniform(0.15, 0.42)
        tip = np.array([lean * np.cos(angle), lean * np.sin(angle), random.uniform(0.55, 0.95)])
        parts.append((_stick((0.25 * tip[0], 0.25 * tip[1], 0.27), tip, 0.011), 1))
        parts.append((_leaf(tip, angle, random.uniform(0.2, 0.34)), 2))
    return _join(parts)


def bottle() -> PartMesh:
    """A bottle with shoulder, neck, label band and cap."""
    glass = _turn(
        [(0, 0), (0.16, 0), (0.18, 0.02), (0.18, 0.5), (0.15, 0.6), (0.06, 0.7), (0.06, 0.82), (0, 0.82)]
    )
    label = _turn([(0.182, 0.14), (0.184, 0.14), (0.184, 0.42), (0.182, 0.42)])
    cap = _turn([(0, 0.82), (0.07, 0.82), (0.07, 0.9), (0, 0.9)])
    return _join([(glass, 0), (label, 1), (cap, 2)])


def mug() -> PartMesh:
    """A mug with a wall, a floor and a handle."""
    cup = _turn([(0, 0), (0.2, 0), (0.22, 0.02), (0.22, 0.46), (0.2, 0.46), (0.19, 0.04), (0, 0.04)])
    handle = torus(0.13, 0.028)
    handle.apply_transform(rotation_matrix(0.5 * np.pi, (1, 0, 0)))
    handle.apply_translation((0.23, 0, 0.24))
    return _join([(cup, 0), (handle, 1)])


def aeroplane() -> PartMesh:
    """A propeller aeroplane on three wheels: thin wings, fin, blades."""
    hull = _ball((0, 0.1, 0.4), (0.14, 0.75, 0.15))
    wings = [_block((1.7, 0.26, 0.03), (0, -0.05, 0.47)), _block((0.6, 0.16, 0.02), (0, 0.75, 0.45))]
    fin = _block((0.02, 0.18, 0.26), (0, 0.76, 0.58))
    cabin = _ball((0, -0.02, 0.53), (0.1, 0.22, 0.1))
    blades = [_block((0.44, 0.015, 0.04), (0, -0.68, 0.4)), _ball((0, -0.68, 0.4), (0.045, 0.07, 0.045))]
    wheels = [_wheel((x, -0.2, 0.09), 0.09, 0.04) for x in (-0.25, 0.25)] + [
        _wheel((0, 0.7, 0.05), 0.05, 0.03)
    ]
    struts = [_stick((0.5 * x, -0.1, 0.3), (x, -0.2, 0.09), 0.015) for x in (-0.25, 0.25)]
    struts.append(_stick((0, 0.65, 0.35), (0, 0.7, 0.05), 0.015))
    parts = [(hull, 0), *((mesh, 1) for mesh in [*wings, fin]), (cabin, 2), *((mesh, 3) for mesh in blades)]
    return _join([*parts, *((mesh, 4) for mesh in wheels + struts)])


def snail() -> PartMesh:
    """A creature without a mirror plane: a body, a coiled shell beside it, two stalks with eyes."""
    body = [_ball((0, 0.1, 0.1), (0.14, 0.5, 0.1)), _limb((0, -0.3, 0.12), (0, -0.42, 0.34), 0.085)]
    turn = np.linspace(0, 5 * np.pi, 70)
    coil = np.column_stack(
        [0.02 * turn, 0.2 + 0.3 * 0.9**turn * np.cos(turn), 0.34 + 0.3 * 0.9**turn * np.sin(turn)]
    )
    shell = [_ball(place, (0.17 * 0.92**angle,) * 3, 2) for place, angle in zip(coil, turn, strict=True)]
    stalks = [_stick((0, -0.42, 0.38), (x, -0.52, 0.56), 0.015) for x in (-0.08, 0.08)]
    eyes = [_ball((x, -0.52, 0.57), (0.03,) * 3) for x in (-0.08, 0.08)]
    return _join(
        [
            *((mesh, 0) for mesh in body + stalks),
            *((mesh, 1) for mesh in shell),
            *((mesh, 2) for mesh in eyes),
        ]
    )


def real_mesh(name: str) -> PartMesh:
    """``spot`` or ``fuze`` of the shared assets; all of it is one part."""
    return _of_surface(scenes.real_mesh(name))


def monkey() -> PartMesh:
    """Blender's Suzanne; eyes are parts of their own."""
    return _of_surface(scenes.suzanne())


def pot() -> PartMesh:
    """A tea pot with spout and handle."""
    return _of_surface(props.striped_pot(96, 110))


MESHES: dict[str, Callable[[], PartMesh]] = {
    "chair": chair,
    "lamp": table_lamp,
    "van": van,
    "figure": figure,
    "plant": plant,
    "bottle": bottle,
    "mug": mug,
    "aeroplane": aeroplane,
    "snail": snail,
    "monkey": monkey,
    "pot": pot,
    "spot": lambda: real_mesh("spot"),
    "fuze": lambda: real_mesh("fuze"),
}


def _of_surface(scene: scenes.Scene) -> PartMesh:
    mesh = trimesh.Trimesh(scene.surface.vertices, scene.surface.faces, process=False)
    loose = trimesh.graph.connected_component_labels(mesh.face_adjacency, node_count=len(mesh.faces))
    return PartMesh(np.asarray(mesh.vertices), np.asarray(mesh.faces), loose % 5)


def _join(parts: list[tuple[trimesh.Trimesh, int]]) -> PartMesh:
    mesh = trimesh.util.concatenate([part for part, _ in parts])
    label = np.concatenate([np.full(len(part.faces), number) for part, number in parts])
    return PartMesh(np.asarray(mesh.vertices), np.asarray(mesh.faces), label)


def _block(size: tuple, place: tuple) -> trimesh.Trimesh:
    mesh = box(size)
    mesh.apply_translation(place)
    return mesh


def _prism(outline: list[tuple[float, float]], width: float) -> trimesh.Trimesh:
    """A convex outline in y and z, extruded along x."""
    y, z = np.array(outline).T
    corners = [np.column_stack([np.full(len(y), x), y, z]) for x in (-width / 2, width / 2)]
    return trimesh.convex.convex_hull(np.vstack(corners))


def _ball(place, radii: tuple, detail: int = 3) -> trimesh.Trimesh:
    mesh = icosphere(detail)
    mesh.apply_scale(radii)
    mesh.apply_translation(place)
    return mesh


def _stick(start, end, radius: float) -> trimesh.Trimesh:
    return cylinder(radius, segment=np.array([start, end], np.float64), sections=16)


def _limb(start, end, radius: float) -> trimesh.Trimesh:
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    length = np.linalg.norm(end - start)
    mesh = capsule(length, radius, count=(16, 24))
    mesh.apply_transform(trimesh.geometry.align_vectors((0, 0, 1), (end - start) / length))
    mesh.apply_translation((start + end) / 2)
    return mesh


def _wheel(place: tuple, radius: float, width: float) -> trimesh.Trimesh:
    mesh = cylinder(radius, width, sections=40)
    mesh.apply_transform(rotation_matrix(0.5 * np.pi, (0, 1, 0)))
    mesh.apply_translation(place)
    return mesh


def _turn(profile: list[tuple[float, float]]) -> trimesh.Trimesh:
    """A profile of radius and height, turned around z; long sides are divided so that shading has
    vertices."""
    points = np.array(profile, np.float64)
    steps = [
        np.linspace(a, b, 1 + max(1, round(np.linalg.norm(b - a) / 0.05)), endpoint=False)
        for a, b in itertools.pairwise(points)
    ]
    return revolve(np.vstack([*steps, points[-1:]]), sections=64)


def _leaf(base: np.ndarray, angle: float, length: float) -> trimesh.Trimesh:
    """A leaf of one sheet that hangs from a stem's tip outwards."""
    along, across = np.meshgrid(np.linspace(0, 1, 9), np.linspace(-1, 1, 5), indexing="ij")
    out = length * along
    wide = 0.32 * length * np.sin(np.pi * np.clip(along, 0.02, 0.98)) * across
    rise = 0.35 * length * np.sin(2.2 * along) - 0.45 * length * along**2 + 0.15 * np.abs(wide)
    x = out * np.cos(angle) - wide * np.sin(angle)
    y = out * np.sin(angle) + wide * np.cos(angle)
    vertices = base + np.stack([x, y, rise], axis=2).reshape(-1, 3)
    i, j = (grid.ravel() for grid in np.meshgrid(np.arange(8), np.arange(4), indexing="ij"))
    a = 5 * i + j
    faces = np.concatenate([np.column_stack([a, a + 5, a + 1]), np.column_stack([a + 1, a + 5, a + 6])])
    return trimesh.Trimesh(vertices, faces, process=False)
