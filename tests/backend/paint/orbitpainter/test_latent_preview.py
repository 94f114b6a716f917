"""Rough pictures of latents, learned from films whose pictures are known."""

import numpy as np
import pytest
import torch

from backend.paint.orbitpainter import layouts
from backend.paint.orbitpainter.latent_preview import LatentPreview


def films_and_latents(layout: str, seed: int) -> tuple[list, list, torch.Tensor, np.ndarray]:
    """Films, random pictures of all their views, and latents that show them: of four frames the last, each
    colour on many channels."""
    random, size, small = np.random.default_rng(seed), 32, 4
    [one, *_] = layouts.plan_passes(layout, 61)
    tiny = random.integers(20, 235, (120, small, small, 3)).astype(np.uint8)
    pictures = list(np.kron(tiny, np.ones((1, size // small, size // small, 1), np.uint8)))
    shown = np.concatenate(
        [
            [
                np.hstack([tiny[view] for view in film[4 * number]])
                for number in range(layouts.count_latent_frames(len(film)))
            ]
            for film in one.clips
        ]
    )
    mixed = np.random.default_rng(0).normal(size=(3, 16))
    latents = torch.from_numpy((shown / 100 - 1) @ mixed).permute(3, 0, 1, 2)[None].float()
    return one.clips, pictures, latents, shown


@pytest.mark.parametrize("layout", list(layouts.LAYOUTS))
def test_a_sketch_shows_what_films_it_has_not_seen_hold(layout):
    films, pictures, latents, _ = films_and_latents(layout, 1)
    preview = LatentPreview.fit([(latents, pictures)], films)
    *_, others, shown = films_and_latents(layout, 2)
    assert np.abs(preview.render(others).astype(int) - shown).max() <= 1


def test_latents_beyond_all_colours_are_black_or_white():
    films, pictures, latents, _ = films_and_latents("horizontal", 1)
    preview = LatentPreview.fit([(latents, pictures)], films)
    assert np.isin(preview.render(1e4 * latents), (0, 255)).mean() > 0.99
