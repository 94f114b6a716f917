"""Drafts that take a fraction of the time, for tests of what does not depend on how fine a draft is."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from backend.paint.draft.fill.config import DEFAULT_CONFIG, SynthesisConfig
from backend.paint.draft.painter import DraftConfig, DraftPainter

COARSE = DraftConfig(synthesis=SynthesisConfig(levels=DEFAULT_CONFIG.levels[:2]))
"""Without the finest level of the fill, which takes more time than the others together."""

QUICK = DraftConfig(
    orbit_views=8,
    orbit_size=256,
    voxel_resolution=96,
    synthesis=SynthesisConfig(
        levels=tuple(
            replace(level, cells=cells, rounds=2)
            for level, cells in zip(DEFAULT_CONFIG.levels[:2], (24, 40), strict=True)
        )
    ),
)
"""A draft that looks like little, for jobs of which other stages are tested."""


@contextlib.contextmanager
def quick_drafts() -> Iterator[None]:
    """Context manager in which the jobs of this process make quick drafts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DraftPainter.__init__, "__defaults__", (QUICK,))
        yield
