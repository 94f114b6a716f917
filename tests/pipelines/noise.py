"""A pipeline without a painter: after some seconds it returns noise, which PNG compresses worst, of
``ORBIT_TEXTURE_NOISE`` texels along each side."""

import os
import time
from pathlib import Path

import cv2
import numpy as np

from backend.api.job import Job, Result

PAINT_SECONDS = 5.0
"""How long the pipeline pretends to paint."""


def run(job: Job, folder: Path, progress, show_preview) -> Result:
    begun, random = time.monotonic(), np.random.default_rng(0)
    while (passed := time.monotonic() - begun) < PAINT_SECONDS:
        progress("paint", passed / PAINT_SECONDS)
        show_preview(random.integers(0, 256, (8, 128, 128, 3), np.uint8))
        time.sleep(0.1)
    size = int(os.environ["ORBIT_TEXTURE_NOISE"])
    textures = {
        name: cv2.imencode(".png", random.integers(0, 256, (size, size, channels), np.uint8))[1].ravel()
        for name, channels in (("base_color", 3), ("coverage", 1), ("confidence", 1))
    }
    uvs = random.random((len(job.mesh.faces), 3, 2), np.float32)
    return Result(uvs, textures, {"seconds": {"paint": PAINT_SECONDS}, "notes": []})
