"""Charts of one part of a mesh with xatlas; also as a process of its own, ``python -m backend.mesh.charts``, fed through pipes.

A process ends by itself when its pipe closes, so none outlives a parent that was killed.
"""

import io
import subprocess
import sys
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import xatlas

from ..api.paths import ROOT

MOST_COST = 1.0
"""What a triangle may cost a chart. At xatlas's own 2, twice the time goes into growing charts that joining makes anyway."""


def find_charts(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flattens a mesh.

    Args:
        vertices: (V, 3) float32.
        faces: (F, 3) int32.

    Returns:
        ``uvs`` (F, 3, 2) float64, each chart at a scale of its own, and ``wedges`` (F, 3) int64 from 0: corners that are one in the
        plane share a number, so charts are what hangs together by it.
    """
    atlas = xatlas.Atlas()
    atlas.add_mesh(vertices, faces.astype(np.uint32))
    options = xatlas.ChartOptions()
    options.max_cost = MOST_COST
    # Packing is not wanted here but cannot be left out: coarse and without turning it costs least.
    packing = xatlas.PackOptions()
    packing.resolution = 256
    packing.rotate_charts = packing.rotate_charts_to_axis = False
    atlas.generate(options, packing)
    _, wedges, uvs = atlas.get_mesh(0)
    wedges = wedges.reshape(-1, 3).astype(np.int64)
    return uvs[wedges] * np.array([atlas.width, atlas.height], np.float64), wedges


@dataclass(frozen=True)
class ChartWorker:
    """A process that runs :func:`find_charts`."""

    process: subprocess.Popen

    def find_charts(self, vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See :func:`find_charts`. Raises :class:`OSError` or :class:`EOFError` if the process has ended."""
        for array in (vertices, faces):
            _write(self.process.stdin, array)
        return _read(self.process.stdout), _read(self.process.stdout)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def start_chart_worker() -> ChartWorker:
    """Starts a process for :func:`find_charts`."""
    command = [sys.executable, "-m", "backend.mesh.charts"]
    return ChartWorker(subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE))


def _write(pipe: BinaryIO, array: np.ndarray) -> None:
    # Through memory: on a pipe numpy's own reading of files bypasses the buffer and waits for ever.
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    pipe.write(file.tell().to_bytes(8, "little") + file.getbuffer())
    pipe.flush()


def _read(pipe: BinaryIO) -> np.ndarray:
    size = int.from_bytes(pipe.read(8), "little")
    return np.load(io.BytesIO(pipe.read(size)), allow_pickle=False)


def serve(source: BinaryIO, target: BinaryIO) -> None:
    """Answers meshes from a pipe until it closes."""
    while source.peek(1):
        for array in find_charts(_read(source), _read(source)):
            _write(target, array)


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
