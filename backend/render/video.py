"""Orbits one can look at: mp4 films and contact sheets."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image


def write_video(path: Path, frames: list[np.ndarray], frames_per_second: int = 24) -> None:
    """An H.264 film of frames (H, W, 3) uint8 sRGB of one size."""
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


def contact_sheet(frames: list[np.ndarray], columns: int, tile: int = 256) -> np.ndarray:
    """(H, W, 3) uint8: frames shrunk to tiles, left to right, top to bottom."""
    rows = -(-len(frames) // columns)
    sheet = np.zeros((rows * tile, columns * tile, 3), np.uint8)
    for index, frame in enumerate(frames):
        row, column = divmod(index, columns)
        image = Image.fromarray(frame)
        image.thumbnail((tile, tile), Image.Resampling.LANCZOS)
        pasted = np.asarray(image)
        top, left = row * tile + (tile - pasted.shape[0]) // 2, column * tile + (tile - pasted.shape[1]) // 2
        sheet[top : top + pasted.shape[0], left : left + pasted.shape[1]] = pasted
    return sheet
