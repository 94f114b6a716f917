"""The object's alpha by a matting model, if the user has one: one more hypothesis about which pixels show the
object. The mesh decides between the hypotheses.

The models are BiRefNet (Zheng et al. 2024), which we download, and ISNet (Qin et al. 2022), which a user may
have, as ONNX graphs that onnxruntime runs on the CPU. onnxruntime is imported only when there is a model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy.special import expit

from ..api.errors import InvalidWeights, OrbitError
from ..api.shell_commands import install_command
from ..api.weights import BIREFNET, ISNET_FOLDER
from ..device import check_memory

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


@dataclass(frozen=True)
class MattingModel:
    """What a model's graph is given and returns, and what it takes to run it.

    Attributes:
        file: name of the graph in the model's folder.
        mean: per channel, 0..1, subtracted from the image.
        std: per channel, by which the difference is divided.
        to_alpha: the graph's answer (size, size) float32 as alpha 0..1.
        remedy: a sentence on what a user does about a file that cannot be used.
        side_outputs: whether the graph may have further outputs, of its inner layers.
        input: name of the graph's input, (1, 3, size, size) float32.
        output: name of the output that is used, (1, 1, size, size) float32.
        size: pixels along both sides of the square that an image is stretched to.
        memory_per_byte: free memory below which it is not run, in sizes of the graph's file. Others measured
            3.5 GB for the 0.2 GB of BiRefNet.
    """

    file: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    to_alpha: Callable[[np.ndarray], np.ndarray]
    remedy: str
    side_outputs: bool = False
    input: str = "input_image"
    output: str = "output_image"
    size: int = 1024
    memory_per_byte: float = 20.0


def stretch(values: np.ndarray) -> np.ndarray:
    """An array of floats, its range stretched to 0..1; all 0 if it has none."""
    least = values.min()
    span = values.max() - least
    return (values - least) / span if span > 0 else np.zeros_like(values)


MATTING_MODELS = {
    # Mean and standard deviation of the images of ImageNet; the answer are logits.
    BIREFNET.name: MattingModel(
        "model.onnx",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        to_alpha=expit,
        remedy=f"Delete its folder, then download it again: {BIREFNET.command}.",
    ),
    # As its authors run it: the answer is 0..1 already, and its range is stretched.
    ISNET_FOLDER: MattingModel(
        "isnet-general-use.onnx",
        mean=(0.5, 0.5, 0.5),
        std=(1.0, 1.0, 1.0),
        to_alpha=stretch,
        remedy="Put the file there that docs/matting.md names, or delete the folder.",
        side_outputs=True,
    ),
}
"""The models by the name of their folder."""


def propose_alpha(
    folder: Path, color: np.ndarray, model: MattingModel | None = None
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The alpha that a matting model finds, and sentences for the user if it could not be run. It never
    raises an :class:`OrbitError`, since nothing needs the model.

    Args:
        folder: the model's.
        color: (H, W, 3) float32 sRGB.
        model: None: the one of the folder's name.

    Returns:
        (H, W) float32 0..1, or None; and the sentences.
    """
    model = model or MATTING_MODELS[folder.name]
    try:
        session = load_matting(folder, model)
        check_memory(model.memory_per_byte * (folder / model.file).stat().st_size, "a better mask")
        return estimate_alpha(session, color, model), ()
    except OrbitError as error:
        return None, (f"The matting model was not used. {error.message}",)


def load_matting(folder: Path, model: MattingModel) -> InferenceSession:
    """The graph of a model's folder, ready to run.

    Raises:
        InvalidWeights: it cannot be read or run, or is another graph.
    """
    file = folder / model.file
    if not file.is_file():
        raise InvalidWeights(f"{folder} has no file '{model.file}'. {model.remedy}")
    try:
        import onnxruntime
    except ImportError as error:
        raise InvalidWeights(
            f"The matting model cannot be run, because onnxruntime does not import ({error}). Run: "
            f"{install_command('backend', '--anew')}"
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
            f"{file} is not an ONNX graph that can be read ({_first_line(error)}). {model.remedy}"
        ) from error
    outputs = session.get_outputs()
    if model.side_outputs:
        outputs = [node for node in outputs if node.name == model.output] or outputs
    _expect(file, model, "input", session.get_inputs(), model.input, channels=3)
    _expect(file, model, "output", outputs, model.output, channels=1)
    return session


def estimate_alpha(session: InferenceSession, color: np.ndarray, model: MattingModel) -> np.ndarray:
    """(H, W) float32 alpha 0..1 of the object in an image (H, W, 3) float32 sRGB, as the network sees it.

    Raises:
        InvalidWeights: the graph does not run, or returns no numbers.
    """
    height, width = color.shape[:2]
    square = np.stack([_resize(channel, model.size, model.size) for channel in np.moveaxis(color, -1, 0)])
    mean, std = (np.float32(values)[:, None, None] for values in (model.mean, model.std))
    try:
        # (1, 1, size, size)
        [answer] = session.run([model.output], {model.input: ((square - mean) / std)[None]})
    except Exception as error:  # its errors have no common base class
        raise InvalidWeights(f"The matting model does not run ({_first_line(error)}).") from error
    if not np.isfinite(answer).all():
        raise InvalidWeights(f"The matting model returns no numbers. {model.remedy}")
    return np.clip(_resize(model.to_alpha(answer[0, 0]), width, height), 0, 1)


def _resize(channel: np.ndarray, width: int, height: int) -> np.ndarray:
    """(height, width) float32: a channel (H, W) float32, bilinear, and averaged along a side that shrinks, as
    in BiRefNet's training."""
    return np.asarray(Image.fromarray(channel).resize((width, height), Image.Resampling.BILINEAR))


def _expect(file: Path, model: MattingModel, role: str, found: list, name: str, channels: int) -> None:
    """Raises :class:`InvalidWeights` unless the graph's only input or output is float32 and has this name and
    the model's shape. A side that the graph leaves open has no number, and fits."""
    shape = (1, channels, model.size, model.size)
    if len(found) == 1 and (found[0].name, found[0].type) == (name, "tensor(float)"):
        sizes = found[0].shape
        if len(sizes) == len(shape) and all(
            size == wanted or not isinstance(size, int) for size, wanted in zip(sizes, shape, strict=True)
        ):
            return
    named = ", ".join(f"'{node.name}' {node.type} {node.shape}" for node in found)
    raise InvalidWeights(
        f"{file} belongs to another model: its {role} is {named or 'missing'} instead of '{name}' "
        f"tensor(float) {list(shape)}. {model.remedy}"
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
