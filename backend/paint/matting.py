"""The object's alpha by a matting model, if the user has downloaded one: one more hypothesis about which
pixels show the object. The mesh decides between the hypotheses.

The model is BiRefNet (Zheng et al. 2024), as an ONNX graph that onnxruntime runs on the CPU. onnxruntime is
imported only when there is a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
from PIL import Image
from scipy.special import expit

from ..api.errors import InvalidWeights, OrbitError, OutOfMemory
from ..api.weights import BIREFNET, format_size

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

MODEL_FILE = "model.onnx"
"""Name of the graph in the model's folder."""

INPUT, OUTPUT = "input_image", "output_image"
"""Names of the graph's input and output."""

_DOWNLOAD = f"download it again: {BIREFNET.command}"


@dataclass(frozen=True)
class MattingConfig:
    """How the network sees an image, and what it takes to run it."""

    # Pixels along both sides of the square that an image is stretched to.
    size: int = 1024
    # Mean and standard deviation per channel, 0..1, of the images of ImageNet, on which it was trained.
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    # Free memory below which it is not run, in sizes of the graph's file: others measured 3.5 GB for 0.2 GB.
    memory_per_byte: float = 20.0


def propose_alpha(
    folder: Path, color: np.ndarray, config: MattingConfig = MattingConfig()
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The alpha that the matting model finds, and sentences for the user if it could not be run. It never
    raises an :class:`OrbitError`, since nothing needs the model.

    Args:
        folder: the model's.
        color: (H, W, 3) float32 sRGB.
        config: of the network.

    Returns:
        (H, W) float32 0..1, or None; and the sentences.
    """
    try:
        session = load_matting(folder, config)
        _check_memory(config.memory_per_byte * (folder / MODEL_FILE).stat().st_size)
        return estimate_alpha(session, color, config), ()
    except OrbitError as error:
        return None, (f"The matting model was not used. {error.message}",)


def load_matting(folder: Path, config: MattingConfig = MattingConfig()) -> InferenceSession:
    """The graph of a folder, ready to run.

    Raises:
        InvalidWeights: it cannot be read or run, or is another graph.
    """
    file = folder / MODEL_FILE
    if not file.is_file():
        raise InvalidWeights(f"{folder} has no file '{MODEL_FILE}'. Delete the folder, then {_DOWNLOAD}.")
    try:
        import onnxruntime
    except ImportError as error:
        raise InvalidWeights(
            f"The matting model cannot be run, because onnxruntime does not import ({error}). Run: python3 "
            "install.py backend --anew"
        ) from error
    # Nothing about a job leaves the computer.
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    # An arena keeps the memory of the largest tensors, although the graph is run once.
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    try:
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common base class
        raise InvalidWeights(
            f"{file} is not an ONNX graph that can be read ({_first_line(error)}). Delete its folder, then "
            f"{_DOWNLOAD}."
        ) from error
    square = (config.size, config.size)
    _expect(file, "input", session.get_inputs(), INPUT, (1, 3, *square))
    _expect(file, "output", session.get_outputs(), OUTPUT, (1, 1, *square))
    return session


def estimate_alpha(
    session: InferenceSession, color: np.ndarray, config: MattingConfig = MattingConfig()
) -> np.ndarray:
    """(H, W) float32 alpha 0..1 of the object in an image (H, W, 3) float32 sRGB, as the network sees it.

    Raises:
        InvalidWeights: the graph does not run, or returns no numbers.
    """
    height, width = color.shape[:2]
    square = np.stack([_resize(channel, config.size, config.size) for channel in np.moveaxis(color, -1, 0)])
    mean, std = (np.float32(values)[:, None, None] for values in (config.mean, config.std))
    try:
        [logits] = session.run([OUTPUT], {INPUT: ((square - mean) / std)[None]})  # (1, 1, size, size)
    except Exception as error:  # its errors have no common base class
        raise InvalidWeights(f"The matting model does not run ({_first_line(error)}).") from error
    if not np.isfinite(logits).all():
        raise InvalidWeights(f"The matting model returns no numbers. Delete its folder, then {_DOWNLOAD}.")
    return np.clip(_resize(expit(logits[0, 0]), width, height), 0, 1)


def _resize(channel: np.ndarray, width: int, height: int) -> np.ndarray:
    """(height, width) float32: a channel (H, W) float32, bilinear, and averaged along a side that shrinks, as
    in the network's training."""
    return np.asarray(Image.fromarray(channel).resize((width, height), Image.Resampling.BILINEAR))


def _expect(file: Path, role: str, found: list, name: str, shape: tuple[int, ...]) -> None:
    """Raises :class:`InvalidWeights` unless the graph's only input or output is float32 and has this name and
    shape. A side that the graph leaves open has no number, and fits."""
    named = ", ".join(f"'{node.name}' {node.type} {node.shape}" for node in found)
    if len(found) == 1 and (found[0].name, found[0].type) == (name, "tensor(float)"):
        sizes = found[0].shape
        if len(sizes) == len(shape) and all(
            size == wanted or not isinstance(size, int) for size, wanted in zip(sizes, shape, strict=True)
        ):
            return
    raise InvalidWeights(
        f"{file} belongs to another model: its {role} is {named or 'missing'} instead of '{name}' "
        f"tensor(float) {list(shape)}. Delete its folder, then {_DOWNLOAD}."
    )


def _check_memory(needed: float) -> None:
    """Raises :class:`OutOfMemory` if fewer bytes are free."""
    if (free := psutil.virtual_memory().available) < needed:
        raise OutOfMemory(
            f"It takes {format_size(needed)} of memory, and {format_size(free)} are free. Close other "
            "programs for a better mask."
        )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
