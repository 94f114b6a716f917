"""A pipeline that paints nothing: after a while it returns noise, the worst that PNG can hold, of
``ORBIT_TEXTURE_NOISE`` texels a side."""

import os
import time
from pathlib import Path

import cv2
import numpy as np

from backend.api.job import Job, Result

SECONDS = 5.0


def run(job: Job, folder: Path, progress, show) -> Result:
    begun, dice = time.monotonic(), np.random.default_rng(0)
    while (passed := time.monotonic() - begun) < SECONDS:
        progress("paint", passed / SECONDS)
        show(dice.integers(0, 256, (8, 128, 128, 3), np.uint8))
        time.sleep(0.1)
    size = int(os.environ["ORBIT_TEXTURE_NOISE"])
    textures = {
        name: cv2.imencode(".png", dice.integers(0, 256, (size, size, channels), np.uint8))[1].ravel()
        for name, channels in (("base_color", 3), ("coverage", 1), ("confidence", 1))
    }
    uvs = dice.random((len(job.mesh.faces), 3, 2), np.float32)
    return Result(uvs, textures, {"seconds": {"paint": SECONDS}, "notes": []})
