"""Nearest neighbours among points, and means over them."""

import numpy as np
from scipy.spatial import cKDTree


def nearest_neighbors(
    points: np.ndarray, queries: np.ndarray, count: int, tolerance: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest points (N, D) of queries (M, D), nearest first.

    Args:
        count: neighbours of each query; fewer if there are fewer points.
        tolerance: the k-th neighbour may be further than the true one by this fraction.

    Returns:
        (M, K) float64 distances, and (M, K) int64 indices of points.
    """
    count = min(count, len(points))
    distance, near = cKDTree(points).query(queries, k=count, eps=tolerance, workers=-1)
    return distance.reshape(len(queries), count), near.reshape(len(queries), count)


def weighted_mean(values: np.ndarray, near: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(M, C) mean over the neighbours (M, K) of values (N, C), by weights (M, K) that sum to 1."""
    return np.einsum("nk,nkc->nc", weight, values[near])


def weighted_variance(
    values: np.ndarray, near: np.ndarray, weight: np.ndarray, mean: np.ndarray
) -> np.ndarray:
    """(M,) variance of the neighbours' values around their mean (M, C), summed over the channels."""
    return np.einsum("nk,nkc->n", weight, np.square(values[near] - mean[:, None]))
