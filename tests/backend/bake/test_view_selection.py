"""Choosing one view per voxel."""

import itertools

import numpy as np
import pytest

from backend.bake.alpha_expansion import (
    Candidates,
    Graph,
    build_graph,
    cheapest_labels,
    energy,
    expand_labels,
)
from backend.bake.contrast_weights import contrast_weights
from backend.bake.view_selection import ViewSelectionConfig, select_views
from backend.mesh.voxels import voxelize
from tests.meshes import knot, surface_of


@pytest.fixture(scope="module")
def voxels():
    return voxelize(surface_of(knot()), 96)


def quality_of(voxels, views: int, seed: int) -> np.ndarray:
    """(N, T) uint8 as of cameras around the mesh, with holes where nothing is seen and a few voxels that
    nobody sees."""
    random = np.random.default_rng(seed)
    directions = random.normal(size=(views, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    cosine = voxels.normals @ directions.T.astype(np.float32)
    hidden = random.random(cosine.shape) < 0.02
    return np.where((cosine > 0.1) & ~hidden, np.ceil(255 * np.clip(cosine, 0, 1)), 0).astype(np.uint8)


def cost_of(voxels, quality, chosen, smoothness, weights=None) -> float:
    seen = chosen >= 0
    edges = voxels.edges[seen[voxels.edges].all(axis=1)]
    weights = np.ones(len(edges)) if weights is None else weights[seen[voxels.edges].all(axis=1)]
    data = 1 - quality[np.flatnonzero(seen), chosen[seen]] / 255
    return data.sum() + smoothness * weights[chosen[edges[:, 0]] != chosen[edges[:, 1]]].sum()


def random_problem(seed: int, nodes: int, count: int) -> tuple[Graph, Candidates]:
    random = np.random.default_rng(seed)
    edges = np.array(
        [pair for pair in itertools.combinations(range(nodes), 2) if random.random() < 0.4], np.int32
    ).reshape(-1, 2)
    graph = build_graph(nodes, edges, random.integers(0, 500, len(edges)).astype(np.int32))
    possible = random.random((nodes, count)) > 0.2
    possible[~possible.any(axis=1), 0] = True
    first = np.concatenate([[0], np.cumsum(possible.sum(axis=1))])
    label = np.nonzero(possible)[1].astype(np.int16)
    return graph, Candidates(first, label, random.integers(0, 1000, len(label)).astype(np.int32))


def least_energy(graph: Graph, candidates: Candidates) -> int:
    choices = [candidates.label[a:b] for a, b in itertools.pairwise(candidates.first)]
    return min(
        energy(graph, candidates, np.array(choice, np.int16)) for choice in itertools.product(*choices)
    )


@pytest.mark.parametrize("seed", range(8))
def test_alpha_expansion_solves_two_labels_exactly(seed):
    graph, candidates = random_problem(seed, 9, 2)
    assert energy(
        graph, candidates, expand_labels(graph, candidates, cheapest_labels(candidates))
    ) == least_energy(graph, candidates)


@pytest.mark.parametrize("seed", range(6))
def test_alpha_expansion_of_three_labels_comes_close_to_the_optimum(seed):
    graph, candidates = random_problem(seed, 8, 3)
    assert energy(
        graph, candidates, expand_labels(graph, candidates, cheapest_labels(candidates))
    ) <= 1.05 * least_energy(graph, candidates)


@pytest.mark.parametrize("seed", range(12))
def test_an_expanded_labelling_cannot_be_bettered_by_any_one_label(seed):
    graph, candidates = random_problem(seed, 9, 4)
    found = expand_labels(graph, candidates, cheapest_labels(candidates))
    offers = [set(candidates.label[a:b]) for a, b in itertools.pairwise(candidates.first)]
    for alpha in range(4):
        takers = [n for n in range(graph.nodes) if alpha in offers[n]]
        for some in itertools.chain.from_iterable(
            itertools.combinations(takers, k) for k in range(len(takers) + 1)
        ):
            moved = found.copy()
            moved[list(some)] = alpha
            assert energy(graph, candidates, moved) >= energy(graph, candidates, found)


def test_a_second_alpha_expansion_changes_no_label():
    random = np.random.default_rng(0)
    pairs = np.array(
        [pair for pair in itertools.combinations(range(300), 2) if random.random() < 0.02], np.int32
    )
    graph = build_graph(300, pairs, np.full(len(pairs), 150, np.int32))
    label = np.tile(np.arange(8, dtype=np.int16), 300)
    candidates = Candidates(np.arange(301) * 8, label, random.integers(0, 1000, len(label)).astype(np.int32))
    found = expand_labels(graph, candidates, cheapest_labels(candidates))
    assert energy(graph, candidates, expand_labels(graph, candidates, found)) == energy(
        graph, candidates, found
    )


def test_no_voxel_takes_a_view_that_does_not_see_it(voxels):
    quality = np.random.default_rng(3).integers(0, 256, (len(voxels), 6)).astype(np.uint8)
    quality[quality < 150] = 0
    chosen = select_views(voxels, quality, 5)
    seen = quality.any(axis=1)
    assert 0 < (~seen).sum() < len(seen)
    assert np.array_equal(chosen >= 0, seen)
    assert (quality[seen, chosen[seen]] > 0).all()


@pytest.mark.parametrize("smoothness", [0.7, 5])
def test_coarse_to_fine_selection_costs_as_little_as_full_resolution(voxels, smoothness):
    quality = quality_of(voxels, 16, 1)
    quick = select_views(voxels, quality, smoothness)
    full = select_views(voxels, quality, smoothness, config=ViewSelectionConfig(coarsest=96))
    greedy = np.where(quality.any(axis=1), quality.argmax(axis=1), -1)
    assert cost_of(voxels, quality, quick, smoothness) <= 1.01 * cost_of(voxels, quality, full, smoothness)
    assert cost_of(voxels, quality, quick, smoothness) < 0.9 * cost_of(voxels, quality, greedy, smoothness)


def test_a_mesh_that_no_view_sees_has_no_labels(voxels):
    assert (select_views(voxels, np.zeros((len(voxels), 3), np.uint8), 1) == -1).all()


def test_the_layout_of_the_qualities_in_memory_does_not_matter(voxels):
    quality = quality_of(voxels, 8, 2)
    assert np.array_equal(
        select_views(voxels, quality, 1), select_views(voxels, np.asfortranarray(quality), 1)
    )


def fraction_of_border(voxels, chosen, where) -> float:
    """Fraction of the borders between views that lies on some of the edges (E,) bool."""
    border = (chosen[voxels.edges] >= 0).all(axis=1) & (
        chosen[voxels.edges[:, 0]] != chosen[voxels.edges[:, 1]]
    )
    return where[border].mean()


def test_borders_between_views_run_along_the_edges_of_the_image(voxels):
    quality = quality_of(voxels, 16, 4)
    stripe = voxels.cells[:, 2] // 8
    colors = np.where(stripe[:, None] % 2 == 0, np.float32([200, 40, 40]), np.float32([40, 200, 40]))
    across = stripe[voxels.edges[:, 0]] != stripe[voxels.edges[:, 1]]
    plain = select_views(voxels, quality, 5)
    adaptive = select_views(voxels, quality, 5, contrast_weights(voxels.edges, colors))
    assert fraction_of_border(voxels, adaptive, across) > 2 * fraction_of_border(voxels, plain, across)


def test_borders_between_views_avoid_places_where_they_disagree(voxels):
    quality = quality_of(voxels, 16, 4)
    disputed = voxels.cells[:, 0] // 8 % 2 == 0
    spread = np.where(disputed, 30, 2).astype(np.float32)
    inside = disputed[voxels.edges].all(axis=1)
    plain = select_views(voxels, quality, 5)
    careful = select_views(
        voxels, quality, 5, contrast_weights(voxels.edges, np.full((len(voxels), 3), 90, np.float32), spread)
    )
    assert fraction_of_border(voxels, careful, inside) < 0.6 * fraction_of_border(voxels, plain, inside)
