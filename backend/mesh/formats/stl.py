"""STL files."""

from pathlib import Path

import numpy as np
import trimesh

from ...api.errors import InvalidMesh
from ...api.job import check_triangle_count
from .mesh_file import MeshFile, check_indices


def read_stl(path: Path) -> MeshFile:
    """The triangles of a file, those of all its solids in one mesh.

    Raises:
        InvalidMesh: without faces, or with too many.
    """
    scene = trimesh.load(path, force="scene", process=False)
    solids = [solid for solid in scene.geometry.values() if isinstance(solid, trimesh.Trimesh)]
    check_triangle_count(sum(len(solid.faces) for solid in solids))
    faces, vertices, end = [], [], 0
    for solid in solids:
        check_indices(solid.faces, len(solid.vertices))
        faces.append(solid.faces + end)
        vertices.append(solid.vertices)
        end += len(solid.vertices)
    if not end or not sum(map(len, faces)):
        raise InvalidMesh(f"{path.name} holds no faces.")
    with np.errstate(over="ignore"):
        points = np.concatenate(vertices).astype(np.float32)
    return MeshFile(points, np.concatenate(faces).astype(np.int32), None, False)
