"""The training of one expert, step by step (docs/models/orbitpainter.md#training-recipe)."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from ..api.errors import InvalidSettings
from ..device import best_device
from ..paint.orbitpainter.model import Model
from ..paint.orbitpainter.sampler import sample_noise
from ..tensors import shards
from . import checkpoints
from .examples import Example, prepare_examples
from .expert import TrainableExpert, open_expert
from .objective import NoiseLevels, expert_noise_levels, velocity_loss

WARMUP_STEPS = 5
"""First steps, at a third of the learning rate."""

CHECKPOINT_INTERVAL = 50
"""Steps between checkpoints, and the number of latest steps whose mean loss is reported."""


@dataclass(frozen=True)
class Recipe:
    """How an expert is trained; the defaults are the published ones.

    Attributes:
        expert: one of :data:`backend.paint.orbitpainter.sampler.EXPERT_NAMES`.
        seed: of all random numbers.
        rate: learning rate of AdamW.
        decay: weight decay of AdamW.
    """

    expert: str
    seed: int = 0
    rate: float = 1e-4
    decay: float = 0.01


@dataclass(frozen=True)
class TrainingPaths:
    """What a training reads and writes.

    Attributes:
        base: the file, or the folder of files, of the base model's expert.
        painter: OrbitPainter's file to start from, or None.
        model: OrbitPainter's converted folder, whose autoencoder, prompts and card are used.
        cache: folder of the assets' latents.
        output: folder of the checkpoints.
    """

    base: Path
    painter: Path | None
    model: Path
    cache: Path
    output: Path


def run_training(
    assets: Sequence[Path],
    recipe: Recipe,
    steps: int,
    paths: TrainingPaths,
    resume: bool,
    report: Callable[[str], None],
    progress: Callable[[int, float], None],
) -> Path:
    """Trains an expert on textured mesh files; returns the checkpoint of the last step.

    Args:
        assets: GLB or OBJ files.
        recipe: how.
        steps: in all, those of earlier runs included.
        paths: what is read and written.
        resume: whether to continue from the checkpoint in the output folder.
        report: receives sentences about what is done.
        progress: receives the number of steps done, and the mean loss of the latest.

    Raises:
        InvalidSettings: the output folder holds a training that is not to be resumed, or none that is, or the
            loss is not a number.
        InvalidMesh, InvalidWeights: what was given cannot be used.
        StorageError: a folder cannot be written.
    """
    if steps < 1 or not recipe.rate > 0:
        raise InvalidSettings("A training needs at least one step (--steps) and a rate above 0 (--rate).")
    checkpoint = _find_checkpoint(paths.output, recipe, resume)
    # Latents of the assets, from the cache where they are there.
    model = Model(paths.model, best_device())
    examples = prepare_examples(assets, model, paths.cache, report)
    report(f"{len(examples)} clips to learn; the expert is loaded.")
    start = checkpoint / checkpoints.PAINTER_FILE if checkpoint else paths.painter
    expert = open_expert(
        model.folder / recipe.expert, shards(paths.base), start, model.device, seed=recipe.seed
    )
    text = model.load_prompts().positive
    return train_expert(expert, examples, text, recipe, steps, paths.output, progress)


def _find_checkpoint(folder: Path, recipe: Recipe, resume: bool) -> Path | None:
    """The checkpoint to continue from; see :func:`run_training` for the errors."""
    checkpoint = checkpoints.latest(folder)
    if checkpoint and not resume:
        raise InvalidSettings(
            f"{folder} holds a training already. Continue it (--resume), or choose another folder."
        )
    if resume and not checkpoint:
        raise InvalidSettings(f"{folder} holds no training to continue. Leave out --resume.")
    if checkpoint and (earlier := checkpoints.read_recipe(checkpoint)) != asdict(recipe):
        raise InvalidSettings(
            f"The training in {folder} was begun with {earlier}. Continue with the same, or choose another "
            "folder."
        )
    return checkpoint


def train_expert(
    expert: TrainableExpert,
    examples: Sequence[Example],
    text: torch.Tensor,
    recipe: Recipe,
    steps: int,
    folder: Path,
    progress: Callable[[int, float], None],
) -> Path:
    """Trains an expert, from the newest checkpoint of ``folder`` if there is one; returns the checkpoint of
    the last step.

    Every step draws its random numbers from the seed and its own number, so that it does not matter where a
    training was interrupted.

    Args:
        expert: as it was at that checkpoint.
        examples: what to train on.
        text: (1, 512, C) embedding of the positive prompt.
        recipe: how.
        steps: in all.
        folder: of checkpoints.
        progress: receives the number of steps done, and the mean loss of the latest.
    """
    optimizer = torch.optim.AdamW(expert.parameters.values(), lr=recipe.rate, weight_decay=recipe.decay)
    levels = expert_noise_levels(recipe.expert)
    checkpoint, first_step = checkpoints.latest(folder), 0
    if checkpoint:
        checkpoints.restore_optimizer(checkpoint, expert.parameters, optimizer)
        first_step = checkpoints.count_steps(checkpoint)
    recent = deque(maxlen=CHECKPOINT_INTERVAL)
    for step in range(first_step, steps):
        # Warm-up.
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate / 3 if step < WARMUP_STEPS else recipe.rate
        loss = step_loss(expert, examples, text, levels, recipe.seed, step)
        if not loss.isfinite():
            raise InvalidSettings(
                f"The loss of step {step + 1} is not a number. Continue from the last checkpoint with a "
                "lower --rate."
            )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        recent.append(loss.item())
        if (step + 1) % CHECKPOINT_INTERVAL == 0 or step + 1 == steps:
            checkpoints.save(folder, step + 1, expert.parameters, optimizer, asdict(recipe))
        progress(step + 1, sum(recent) / len(recent))
    return checkpoints.latest(folder)


def step_loss(
    expert: TrainableExpert,
    examples: Sequence[Example],
    text: torch.Tensor,
    levels: NoiseLevels,
    seed: int,
    step: int,
) -> torch.Tensor:
    """() float32: the loss of a step. The examples come in turn, in another order in each epoch; reference,
    noise level and noise are random."""
    epoch, position = divmod(step, len(examples))
    example = examples[np.random.default_rng((seed, epoch)).permutation(len(examples))[position]]
    random = np.random.default_rng((seed, step, 1))
    color, condition = (latents.to(text.device) for latents in example.read(random))
    chosen = random.integers(len(levels.timestep))
    level = NoiseLevels(*(values[chosen : chosen + 1].to(text.device) for values in vars(levels).values()))
    noise = sample_noise(color.shape, int(random.integers(2**63))).to(text.device)
    return velocity_loss(expert.network, color, condition, text, noise, level)
