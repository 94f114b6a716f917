"""Rasterizes a file of meshes with the backend: the other half of ``test_cycles.py``, run by the backend's
Python.

    python -m tests.blender.rasterize_meshes MESHES.npz RASTERIZED.npz SIZE VIEW...

A view is ``horizontal:K``, ``vertical:K`` (mirrored, as published), ``straight:K``, or
``parallel:AZIMUTH:ELEVATION:WIDTH`` in degrees and units. For each mesh and view the result has
``MESH/VIEW/mask``, ``/position`` and ``/normal``.
"""

import sys

import numpy as np

from backend.mesh.surface import Surface
from backend.paint.orbitpainter.cameras import orbits
from backend.render.camera import Camera, look_at_origin
from backend.render.rasterize import normals, positions, rasterize


def camera(view: str, size: int) -> Camera:
    kind, *numbers = view.split(":")
    if kind == "parallel":
        azimuth, elevation, width = map(float, numbers)
        rotation = look_at_origin(azimuth, elevation)
        return Camera(rotation, 1.5 * rotation[:, 2], 1 / width, width=size, height=size, orthographic=True)
    horizontal, vertical = orbits(size, mirror=1 if kind == "straight" else -1)
    return (horizontal if kind == "horizontal" else vertical).cameras[int(numbers[0])]


def main(source: str, target: str, size: str, *views: str) -> None:
    arrays = {}
    with np.load(source, allow_pickle=False) as meshes:
        for name in {key.partition("/")[0] for key in meshes}:
            vertices, faces, corner_normals = (
                meshes[f"{name}/{part}"] for part in ("vertices", "faces", "corner_normals")
            )
            surface = Surface(
                vertices=vertices,
                faces=faces,
                corner_normals=corner_normals,
                corner_uvs=np.zeros((len(faces), 3, 2), np.float32),
                job_faces=np.arange(len(faces)),
                unwrapped=False,
            )
            for view in views:
                buffer = rasterize(vertices, faces, camera(view, int(size)))
                arrays[f"{name}/{view}/mask"] = buffer.mask
                arrays[f"{name}/{view}/position"] = positions(buffer)
                arrays[f"{name}/{view}/normal"] = normals(buffer, surface)
    np.savez(target, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
