"""Orbits as mp4 videos."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_video(path: Path, frames: list[np.ndarray], frames_per_second: int = 24) -> None:
    """Writes an H.264 video of frames (H, W, 3) uint8 sRGB of one size."""
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(frames_per_second))
        stream.width, stream.height, stream.pix_fmt = width - width % 2, height - height % 2, "yuv420p"
        stream.options = {"crf": "14"}
        for frame in frames:
            container.mux(
                stream.encode(
                    av.VideoFrame.from_ndarray(
                        np.ascontiguousarray(frame[: stream.height, : stream.width]), "rgb24"
                    )
                )
            )
        container.mux(stream.encode())
