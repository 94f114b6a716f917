"""The state of a training, so that it continues after an interruption as if there had been none.

A checkpoint is a folder, as ``step_000050``, with three files:

- ``painter.safetensors``: the trained tensors, named and shaped as in OrbitPainter's published file.
- ``optimizer.safetensors``: AdamW's two moving averages of every one of these tensors.
- ``recipe.json``: the recipe of the training.
"""

import json
import shutil
from pathlib import Path

import torch
from torch.optim import Optimizer

from .. import tensors
from ..api.errors import InvalidWeights
from ..store import write_atomically

PAINTER_FILE = "painter.safetensors"
"""The trained tensors."""

OPTIMIZER_FILE = "optimizer.safetensors"
"""The optimizer's state."""

RECIPE_FILE = "recipe.json"
"""The recipe of the training."""

ADAM_AVERAGES = ("exp_avg", "exp_avg_sq")
"""torch's names of AdamW's two moving averages."""


def save(
    folder: Path, step: int, parameters: dict[str, torch.nn.Parameter], optimizer: Optimizer, recipe: dict
) -> None:
    """Writes the checkpoint of a step; when it is complete, older ones are deleted.

    Raises:
        StorageError: the folder cannot be written; the older one stays.
    """

    def write(part: Path) -> None:
        averages = {
            f"{name}.{average}": optimizer.state[parameter][average]
            for name, parameter in parameters.items()
            for average in ADAM_AVERAGES
        }
        tensors.save(
            {name: parameter.detach() for name, parameter in parameters.items()}, part / PAINTER_FILE
        )
        tensors.save(averages, part / OPTIMIZER_FILE)
        (part / RECIPE_FILE).write_text(json.dumps(recipe, indent=2), encoding="utf-8")

    new = folder / f"step_{step:06}"
    write_atomically(new, write)
    for old in _list_checkpoints(folder):
        if old != new:
            shutil.rmtree(old)


def latest(folder: Path) -> Path | None:
    """The newest checkpoint, or None."""
    return max(_list_checkpoints(folder), key=count_steps, default=None)


def count_steps(checkpoint: Path) -> int:
    """How many steps a checkpoint is the result of."""
    return int(checkpoint.name.removeprefix("step_"))


def read_recipe(checkpoint: Path) -> dict:
    """The recipe of the training.

    Raises:
        InvalidWeights: the file is missing or damaged.
    """
    try:
        return json.loads((checkpoint / RECIPE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidWeights(
            f"{checkpoint / RECIPE_FILE} cannot be read ({error}). Start again in another folder."
        ) from error


def restore_optimizer(
    checkpoint: Path, parameters: dict[str, torch.nn.Parameter], optimizer: Optimizer
) -> None:
    """Gives an optimizer the moving averages of a checkpoint.

    Raises:
        InvalidWeights: the file is missing, damaged or of another model.
    """
    file = tensors.Tensors([checkpoint / OPTIMIZER_FILE])
    file.expect(
        {
            f"{name}.{average}": tuple(parameter.shape)
            for name, parameter in parameters.items()
            for average in ADAM_AVERAGES
        }
    )
    averages, steps = file.all(), torch.tensor(float(count_steps(checkpoint)))
    for name, parameter in parameters.items():
        optimizer.state[parameter] = {"step": steps.clone()} | {
            average: averages[f"{name}.{average}"].to(parameter.device) for average in ADAM_AVERAGES
        }


def _list_checkpoints(folder: Path) -> list[Path]:
    return [path for path in folder.glob("step_*") if path.suffix != ".part"]
