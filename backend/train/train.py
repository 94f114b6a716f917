"""The training of one expert, step by step (specs: orbitpainter a.9)."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from ..api.errors import InvalidSettings
from ..device import best_device
from ..paint.orbitpainter.model import Model
from ..paint.orbitpainter.sampler import noise
from ..tensors import shards
from . import checkpoints
from .examples import Example, examples
from .expert import Expert, open_expert
from .objective import Moments, loss, moments

GENTLE_STEPS = 5
"""In the beginning, at a third of the rate."""

KEEP_EVERY = 50
"""Steps between checkpoints, and those that the printed loss is the mean of."""


@dataclass(frozen=True)
class Recipe:
    """How an expert is trained; the defaults are the published ones.

    Attributes:
        expert: one of :data:`backend.paint.orbitpainter.sampler.EXPERTS`.
        seed: of what is random.
        rate: of AdamW.
        decay: of its weights.
    """

    expert: str
    seed: int = 0
    rate: float = 1e-4
    decay: float = 0.01


def run(
    assets: Sequence[Path],
    recipe: Recipe,
    steps: int,
    base: Path,
    painter: Path | None,
    model: Path,
    cache: Path,
    output: Path,
    resume: bool,
    tell: Callable[[str], None],
    progress: Callable[[int, float], None],
) -> Path:
    """Trains an expert on textured mesh files; the checkpoint of the last step.

    Args:
        assets: GLB or OBJ files.
        recipe: how.
        steps: in all, those of earlier runs included.
        base: the file, or the folder of files, of the base model's expert.
        painter: OrbitPainter's file to begin with, or None.
        model: OrbitPainter's converted folder, whose autoencoder, texts and card are used.
        cache: folder of the assets' latents.
        output: folder of the checkpoints.
        resume: whether to go on with what is there.
        tell: told what happens, in sentences.
        progress: told the steps done, and the mean loss of the latest.

    Raises:
        InvalidSettings: the folder holds a training and was not to be resumed, or the other way round, or the
            loss is lost.
        InvalidMesh, InvalidWeights: what was given cannot be used.
        StorageError: a folder cannot be written.
    """
    if steps < 1 or not recipe.rate > 0:
        raise InvalidSettings("A training needs at least one step (--steps) and a rate above 0 (--rate).")
    checkpoint = checkpoints.latest(output)
    if checkpoint and not resume:
        raise InvalidSettings(
            f"{output} holds a training already. Go on with it (--resume), or choose another folder."
        )
    if resume and not checkpoint:
        raise InvalidSettings(f"{output} holds no training to go on with. Leave --resume away.")
    if checkpoint and (begun := checkpoints.recipe_of(checkpoint)) != asdict(recipe):
        raise InvalidSettings(
            f"The training in {output} was begun with {begun}. Go on with the same, or choose another folder."
        )
    model = Model(model, best_device())
    found = examples(assets, model, cache, tell)
    tell(f"{len(found)} films to learn; the expert is loaded.")
    start = checkpoint / checkpoints.PAINTER if checkpoint else painter
    expert = open_expert(model.folder / recipe.expert, shards(base), start, model.device, seed=recipe.seed)
    return train(expert, found, model.prompts().wanted, recipe, steps, output, progress)


def train(
    expert: Expert,
    found: Sequence[Example],
    text: torch.Tensor,
    recipe: Recipe,
    steps: int,
    folder: Path,
    progress: Callable[[int, float], None],
) -> Path:
    """Trains an expert, from the newest checkpoint of ``folder`` if there is one; the checkpoint of the last
    step.

    Every step draws its numbers from the seed and its own number, so that it does not matter where a training
    was interrupted.

    Args:
        expert: as it was at that checkpoint.
        found: what to learn.
        text: (1, 512, C) embedding of the prompt.
        recipe: how.
        steps: in all.
        folder: of checkpoints.
        progress: told the steps done, and the mean loss of the latest.
    """
    optimizer = torch.optim.AdamW(expert.learning.values(), lr=recipe.rate, weight_decay=recipe.decay)
    checkpoint, levels = checkpoints.latest(folder), moments(recipe.expert)
    if checkpoint:
        checkpoints.restore(checkpoint, expert.learning, optimizer)
    recent = deque(maxlen=KEEP_EVERY)
    for step in range(checkpoints.step_of(checkpoint) if checkpoint else 0, steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate / 3 if step < GENTLE_STEPS else recipe.rate
        value = step_loss(expert, found, text, levels, recipe.seed, step)
        if not value.isfinite():
            raise InvalidSettings(
                f"The loss of step {step + 1} is not a number. Go on from the last checkpoint with a lower "
                "--rate."
            )
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        recent.append(value.item())
        if (step + 1) % KEEP_EVERY == 0 or step + 1 == steps:
            checkpoints.save(folder, step + 1, expert.learning, optimizer, asdict(recipe))
        progress(step + 1, sum(recent) / len(recent))
    return checkpoints.latest(folder)


def step_loss(
    expert: Expert, found: Sequence[Example], text: torch.Tensor, levels: Moments, seed: int, step: int
) -> torch.Tensor:
    """() the loss of a step: all examples in turn, in another order every time; reference, noise and its
    level at random."""
    round_, place = divmod(step, len(found))
    example = found[np.random.default_rng((seed, round_)).permutation(len(found))[place]]
    random = np.random.default_rng((seed, step, 1))
    color, condition = (part.to(text.device) for part in example.read(random))
    chosen = random.integers(len(levels.time))
    at = Moments(*(part[chosen : chosen + 1].to(text.device) for part in vars(levels).values()))
    return loss(
        expert.network,
        color,
        condition,
        text,
        noise(color.shape, int(random.integers(2**63))).to(text.device),
        at,
    )
