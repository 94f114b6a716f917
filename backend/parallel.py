"""Parallel loops in threads: compiled kernels, numpy and OpenCV release the global interpreter lock."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor


def iterate_parallel(work: Callable, *arguments: Iterable) -> Iterator:
    """Yields what ``work`` returns for each set of arguments, in order, as soon as it is available."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(work, *arguments)


def map_parallel(work: Callable, *arguments: Iterable) -> list:
    """The list of what ``work`` returns for each set of arguments, in order."""
    return list(iterate_parallel(work, *arguments))


def map_ranges(work: Callable[[int, int], object], count: int, size: int) -> list:
    """The list of what ``work(first, end)`` returns for the chunks of ``size`` of ``range(count)``, in
    order."""
    return map_parallel(lambda first: work(first, min(first + size, count)), range(0, count, size))
