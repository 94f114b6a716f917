"""Meshes that no artist makes on purpose, of about N triangles, each ``(vertices, faces)``."""

import numpy as np


def make_separate_triangles(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (F, 3, 3) that share no vertices."""
    return corners.reshape(-1, 3).astype(np.float32), np.arange(3 * len(corners), dtype=np.int32).reshape(
        -1, 3
    )


def make_slivers(count: int, width: float = 1e-5):
    """Triangles about 1 long, and very thin."""
    random = np.random.default_rng(0)
    ends = random.random((count, 2, 3))
    third = ends.mean(axis=1) + width * random.standard_normal((count, 3))
    return make_separate_triangles(np.concatenate([ends, third[:, None]], axis=1))


def make_soup(count: int):
    """Large triangles anywhere."""
    return make_separate_triangles(np.random.default_rng(0).random((count, 3, 3)))


def make_copies(count: int):
    """Ten triangles, each many times in one place."""
    return make_separate_triangles(np.tile(np.random.default_rng(0).random((10, 3, 3)), (count // 10, 1, 1)))


def make_tangle(count: int):
    """Triangles between any three of fifty vertices."""
    random = np.random.default_rng(0)
    return random.random((50, 3)).astype(np.float32), random.integers(0, 50, (count, 3), np.int32)


def make_book(count: int):
    """Triangles that all share one edge."""
    angles, pages = np.arange(count), np.arange(2, 2 + count)
    outer = np.column_stack([np.cos(angles), np.sin(angles), 0 * angles])
    faces = np.column_stack([0 * pages, 0 * pages + 1, pages])
    return np.concatenate([[[0, 0, 0], [0, 0, 1]], outer]).astype(np.float32), faces.astype(np.int32)


def make_spiral(count: int):
    """A flat strip that winds around many times."""
    angles = 0.02 * np.arange(count // 2 + 1)
    around, radius = np.stack([np.cos(angles), np.sin(angles)]), 1 + 0.05 * angles
    rims = [np.column_stack([*(around * r), 0 * r]) for r in (radius, radius + 0.02)]
    here, next_rim = np.arange(len(angles) - 1), len(angles)
    faces = [
        np.column_stack([here, here + 1, next_rim + here]),
        np.column_stack([here + 1, next_rim + here + 1, next_rim + here]),
    ]
    return np.concatenate(rims).astype(np.float32), np.concatenate(faces).astype(np.int32)


def make_noise(count: int):
    """A height field in which every vertex has a height of its own."""
    side = int(np.sqrt(count / 2)) + 1
    number = np.arange(side**2).reshape(side, side)
    x, y = np.divmod(number.ravel(), side)
    heights = 0.3 * np.random.default_rng(0).random(side**2)
    a, b, c, d = (n.ravel() for n in (number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]))
    faces = np.concatenate([np.column_stack([a, b, c]), np.column_stack([a, c, d])])
    return np.column_stack([x / side, y / side, heights]).astype(np.float32), faces.astype(np.int32)


KINDS = {
    "slivers": make_slivers,
    "one sliver": lambda count: make_slivers(1, 3e-6),
    "a soup": make_soup,
    "copies": make_copies,
    "a tangle": make_tangle,
    "a book": make_book,
    "a spiral": make_spiral,
    "noise": make_noise,
}
