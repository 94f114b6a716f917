"""Compiles the kernels ahead of the first job, which would have to wait half a minute for it: numba keeps the
machine code beside the sources."""

import json
import sys
import tempfile
from pathlib import Path

import cv2
import llvmlite.binding
import numba
import numpy as np

from . import pipeline
from .api import paths
from .api.job import Job, MeshData
from .api.settings import Settings

_PICTURE_SIZE = 256
"""Pixels along a side of the picture of the job that makes numba compile."""


def compile_kernels() -> bool:
    """Runs a small job, so that all kernels of a draft are compiled for this processor.

    Returns:
        whether there was something to do: a mark says that it was done, and goes with the machine code.
    """
    mark, done_for = _mark_file(), [numba.__version__, llvmlite.binding.get_host_cpu_name()]
    if _read(mark) == done_for:
        return False
    with tempfile.TemporaryDirectory(prefix="orbit-texture-") as folder:
        pipeline.run(make_sample_job(), Path(folder), lambda stage, fraction: None)
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(json.dumps(done_for), encoding="utf-8")
    except OSError:
        pass  # numba could not write there either, and uses a folder of the user
    return True


def make_sample_job() -> Job:
    """A small job that runs through all of a draft: a tapered block without UVs, and a picture of one before
    a shaded ground, so that its view has to be searched."""
    corners = np.float32([(x, y, z) for x in (-1, 1) for y in (-0.7, 0.7) for z in (-1, 1)])
    corners[:, :2] *= np.where(corners[:, 2:] > 0, 0.7, 1.0)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.int32([half for a, b, c, d in quads for half in ((a, b, c), (a, c, d))])
    encoded = cv2.imencode(".png", _draw_picture())[1]
    settings = Settings(painter="draft", texture_size=1024)
    return Job("0" * 32, "Sample", MeshData(corners, faces), encoded.ravel(), settings)


def _draw_picture() -> np.ndarray:
    """(S, S, 3) uint8 BGR."""
    size = _PICTURE_SIZE
    ground = np.linspace(170, 225, size)[:, None, None] + np.random.default_rng(0).normal(
        0, 3, (size, size, 3)
    )
    picture = np.clip(ground, 0, 255).astype(np.uint8)
    front = np.int32([(70, 205), (150, 220), (142, 60), (86, 66)])
    side = np.int32([(150, 220), (205, 195), (182, 62), (142, 60)])
    cv2.fillConvexPoly(picture, front, (40, 70, 200), cv2.LINE_AA)
    cv2.fillConvexPoly(picture, side, (30, 50, 140), cv2.LINE_AA)
    cv2.circle(picture, (112, 130), 22, (60, 200, 220), -1, cv2.LINE_AA)
    return picture


def _mark_file() -> Path:
    """Where numba keeps the machine code of this version of Python, or beside it."""
    folder = Path(numba.config.CACHE_DIR or paths.ROOT / "backend" / "__pycache__")
    return folder / f"kernels.{sys.implementation.cache_tag}.json"


def _read(mark: Path) -> list | None:
    try:
        return json.loads(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
