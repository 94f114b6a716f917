"""Work on all cores by threads: compiled kernels, numpy and OpenCV release the interpreter's lock."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor


def iterate_parallel(work: Callable, *arguments: Iterable) -> Iterator:
    """What ``work`` returns for each set of arguments, in order, each as soon as it and all before it are
    done."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(work, *arguments)


def map_parallel(work: Callable, *arguments: Iterable) -> list:
    """What ``work`` returns for each set of arguments, in order."""
    return list(iterate_parallel(work, *arguments))


def map_ranges(work: Callable[[int, int], object], count: int, size: int) -> list:
    """What ``work(first, end)`` returns for ``range(count)`` in chunks of ``size``, in order."""
    return map_parallel(lambda first: work(first, min(first + size, count)), range(0, count, size))
