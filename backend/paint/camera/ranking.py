"""Ranks the candidate views of the reference: how well each explains it, which is chosen, and how certain
that is."""

from dataclasses import dataclass, replace

import numpy as np

from ...mesh.surface import Surface
from .feature_edges import FeatureEdges
from .match import Match
from .view import angle_between


@dataclass(frozen=True)
class RankingConfig:
    """When views are alike, and what decides between them.

    Errors are those of :class:`Match`: mean distances between outlines as fractions of the object's size.
    """

    # Difference in error that outlines of a few hundred pixels cannot show (a few hundredths of a pixel).
    error_floor: float = 0.0002
    # Views with up to this many times the least error are tied: feature edges and the prior decide.
    tie_factor: float = 1.2
    # Views with up to this many times the least error are rivals, which are refined at a higher resolution.
    rival_factor: float = 3.0
    # Degrees between the directions of two views up to which they are the same.
    same_direction: float = 8.0
    # Error at which even a single view is no better than a guess.
    bad_error: float = 0.03


def distinct_views(matches: list[Match], config: RankingConfig = RankingConfig()) -> list[Match]:
    """Without the matches that look from about the same direction as one before them."""
    kept = []
    for match in matches:
        azimuth, elevation = match.view.azimuth, match.view.elevation
        if all(angle_between(azimuth, elevation, other.view) > config.same_direction for other in kept):
            kept.append(match)
    return kept


def choose_view(
    surface: Surface,
    matches: list[Match],
    edges: FeatureEdges | None,
    config: RankingConfig = RankingConfig(),
) -> Match:
    """The most likely match, with its confidence.

    Outlines decide where they differ, then feature edges, then what images usually show.
    """
    matches = sorted(matches, key=lambda match: match.error)
    tied = [
        match for match in matches if match.error < config.tie_factor * matches[0].error + config.error_floor
    ]
    z_score = {
        match: edges.alignment_z_score(surface, match.view.camera) if edges and len(matches) > 1 else 0.0
        for match in matches
    }

    def cost(match: Match) -> float:
        return 100 * view_prior_cost(match.view.azimuth, match.view.elevation) - z_score[match]

    best = min(tied, key=cost)
    doubt = max(
        (
            _rival_likelihood(best, rival, z_score[best] - z_score[rival], config)
            for rival in distinct_views([best, *matches], config)[1:]
        ),
        default=0.0,
    )
    return replace(best, confidence=(1 - doubt) / (1 + (best.error / config.bad_error) ** 2))


def _rival_likelihood(best: Match, rival: Match, lead: float, config: RankingConfig) -> float:
    """0..1: how well a rival explains the image, given by how much the best's z-score of feature edges
    leads."""
    outline = max(0.0, rival.error - best.error) / (best.error + config.error_floor)
    return float(np.exp(-outline - max(0.0, lead - 1.0)))


def view_prior_cost(azimuth, elevation):
    """Breaks ties between equal outlines: images usually show the front, from the level or a little above."""
    behind = (1 - np.cos(np.radians(azimuth))) / 2
    return 0.03 * behind + 0.02 * np.abs(np.asarray(elevation) - 10) / 90
