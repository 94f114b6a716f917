"""Rough images of latents, fitted to clips whose images are known."""

import numpy as np
import pytest
import torch

from backend.paint.orbitpainter import layouts
from backend.paint.orbitpainter.latent_preview import LatentPreview


def clips_and_latents(layout: str, seed: int) -> tuple[list, list, torch.Tensor, np.ndarray]:
    """Clips, random images of all their views, and latents that show them: of four frames the last, each
    colour in many channels; and the colours of the latents."""
    random, size, small = np.random.default_rng(seed), 32, 4
    [first_pass, *_] = layouts.plan_passes(layout, 61)
    tiny = random.integers(20, 235, (120, small, small, 3)).astype(np.uint8)
    images = list(np.kron(tiny, np.ones((1, size // small, size // small, 1), np.uint8)))
    shown = np.concatenate(
        [
            [
                np.hstack([tiny[view] for view in clip[4 * number]])
                for number in range(layouts.count_latent_frames(len(clip)))
            ]
            for clip in first_pass.clips
        ]
    )
    mixed = np.random.default_rng(0).normal(size=(3, 16))
    latents = torch.from_numpy((shown / 100 - 1) @ mixed).permute(3, 0, 1, 2)[None].float()
    return first_pass.clips, images, latents, shown


@pytest.mark.parametrize("layout", list(layouts.LAYOUTS))
def test_a_fitted_latent_preview_shows_other_clips(layout):
    clips, images, latents, _ = clips_and_latents(layout, 1)
    preview = LatentPreview.fit([(latents, images)], clips)
    *_, others, shown = clips_and_latents(layout, 2)
    assert np.abs(preview.render(others).astype(int) - shown).max() <= 1


def test_a_latent_preview_of_extreme_latents_is_black_or_white():
    clips, images, latents, _ = clips_and_latents("horizontal", 1)
    preview = LatentPreview.fit([(latents, images)], clips)
    assert np.isin(preview.render(1e4 * latents), (0, 255)).mean() > 0.99
