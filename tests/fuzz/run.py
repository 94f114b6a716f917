"""Runs a reader on inputs with mistakes and counts what becomes of them."""

import contextlib
import importlib.util
import io
import os
import random
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .mutations import mutate

MOST_SECONDS = 10
"""Processor seconds that no small file may take to read."""

BROKEN = 3
"""Exit status of a run with atheris in which an input ended in another error."""


@dataclass(frozen=True)
class Reader:
    """What is fuzzed.

    Attributes:
        whole: inputs without mistakes.
        read: reads an input. It returns False for one that is refused without an error, since the product
            does without it.
        refusal: the error, with a ``message``, that refuses an input.
        words: what the format is written in.
    """

    whole: list[bytes]
    read: Callable[[bytes], object]
    refusal: type[Exception]
    words: tuple[bytes, ...] = ()


@dataclass
class Tally:
    """What became of a reader's inputs.

    Attributes:
        total: how many there were.
        read, refused: how many of them were read, and refused as they should be.
        broken: an input for each other error, by what that says.
        slowest: processor seconds.
    """

    total: int = 0
    read: int = 0
    refused: int = 0
    broken: dict[str, bytes] = field(default_factory=dict)
    slowest: float = 0.0


def instrument(*packages: str) -> contextlib.AbstractContextManager:
    """While these packages are imported, atheris, if it is installed, learns to see what runs in them."""
    if importlib.util.find_spec("atheris") is None:
        return contextlib.nullcontext()
    import atheris

    return atheris.instrument_imports(include=list(packages))


def try_input(reader: Reader, data: bytes, tally: Tally) -> None:
    """Reads one input and notes what became of it."""
    began = time.process_time()
    tally.total += 1
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            refused = reader.read(data) is False
        tally.read += not refused
        tally.refused += refused
    except reader.refusal as error:
        tally.refused += 1
        if not error.message.rstrip().endswith((".", "!")):
            tally.broken.setdefault(f"not a sentence: {error.message}"[:200], data)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        tally.broken.setdefault(f"{type(error).__name__}: {error} ({place.filename}:{place.lineno})", data)
    seconds = time.process_time() - began
    tally.slowest = max(tally.slowest, seconds)
    if seconds > MOST_SECONDS:
        tally.broken.setdefault(f"{seconds:.0f} s", data)


def fuzz(reader: Reader, seed: int, count: int | None = None, seconds: float = float("inf")) -> Tally:
    """Tries a reader on mutated inputs, so many or for so long."""
    dice, tally, until = random.Random(seed), Tally(), time.monotonic() + seconds
    while (count is None or tally.total < count) and time.monotonic() < until:
        try_input(reader, mutate(reader.whole, reader.words, dice), tally)
    return tally


def fuzz_with_atheris(reader: Reader, seed: int, seconds: float, finish: Callable[[Tally], None]) -> None:
    """Lets atheris choose a reader's inputs, then calls ``finish`` and ends the process, as atheris does."""
    import atheris

    tally, until = Tally(), time.monotonic() + seconds

    def one(data: bytes) -> None:
        try_input(reader, data, tally)
        if time.monotonic() > until:
            finish(tally)
            os._exit(BROKEN if tally.broken else 0)

    def change(data: bytes, most: int, number: int) -> bytes:
        return mutate([data or reader.whole[0], *reader.whole], reader.words, random.Random(number))[:most]

    with tempfile.TemporaryDirectory(prefix="orbit-corpus-") as corpus:
        for index, data in enumerate(reader.whole):
            (Path(corpus) / str(index)).write_bytes(data)
        options = [f"-seed={seed + 1}", "-max_len=65536", "-rss_limit_mb=4096", "-verbosity=0", corpus]
        atheris.Setup([sys.argv[0], *options], one, custom_mutator=change)
        atheris.Fuzz()
