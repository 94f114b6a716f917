"""What a training has reached, so that it goes on after an interruption as if there had been none.

<folder>/step_000050/   painter.safetensors    what has been learnt, named and shaped as OrbitPainter's
                        published file optimizer.safetensors  AdamW's two means of every tensor of that
                        recipe.json            how it is trained
"""

import json
import shutil
from pathlib import Path

import torch
from torch.optim import Optimizer

from .. import tensors
from ..api.errors import InvalidWeights
from ..store import write_atomically

PAINTER, OPTIMIZER, RECIPE = "painter.safetensors", "optimizer.safetensors", "recipe.json"
MEANS = ("exp_avg", "exp_avg_sq")


def save(
    folder: Path, step: int, learning: dict[str, torch.nn.Parameter], optimizer: Optimizer, recipe: dict
) -> None:
    """Writes the checkpoint of a step; when it is there, whole, older ones are deleted.

    Raises:
        StorageError: the folder cannot be written; the older one stays.
    """

    def write(part: Path) -> None:
        means = {
            f"{name}.{mean}": optimizer.state[tensor][mean]
            for name, tensor in learning.items()
            for mean in MEANS
        }
        tensors.save({name: tensor.detach() for name, tensor in learning.items()}, part / PAINTER)
        tensors.save(means, part / OPTIMIZER)
        (part / RECIPE).write_text(json.dumps(recipe, indent=2), encoding="utf-8")

    new = folder / f"step_{step:06}"
    write_atomically(new, write)
    for old in _all(folder):
        if old != new:
            shutil.rmtree(old)


def latest(folder: Path) -> Path | None:
    """The newest checkpoint, if there is one."""
    return max(_all(folder), key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    """How many steps a checkpoint has behind it."""
    return int(checkpoint.name.removeprefix("step_"))


def recipe_of(checkpoint: Path) -> dict:
    """How it is trained.

    Raises:
        InvalidWeights: the file is missing or damaged.
    """
    try:
        return json.loads((checkpoint / RECIPE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidWeights(
            f"{checkpoint / RECIPE} cannot be read ({error}). Begin anew in another folder."
        ) from error


def restore(checkpoint: Path, learning: dict[str, torch.nn.Parameter], optimizer: Optimizer) -> None:
    """Gives an optimizer the means that it had.

    Raises:
        InvalidWeights: the file is missing, damaged or of another model.
    """
    file = tensors.Tensors([checkpoint / OPTIMIZER])
    file.expect(
        {f"{name}.{mean}": tuple(tensor.shape) for name, tensor in learning.items() for mean in MEANS}
    )
    means, steps = file.all(), torch.tensor(float(step_of(checkpoint)))
    for name, tensor in learning.items():
        optimizer.state[tensor] = {"step": steps.clone()} | {
            mean: means[f"{name}.{mean}"].to(tensor.device) for mean in MEANS
        }


def _all(folder: Path) -> list[Path]:
    return [path for path in folder.glob("step_*") if path.suffix != ".part"]
