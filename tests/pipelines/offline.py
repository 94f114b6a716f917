"""The real pipeline in a worker that may open no socket."""

import sys

tried: list[str] = []
"""Sockets that were refused."""


def refuse_sockets(event: str, arguments: tuple) -> None:
    if event.startswith("socket."):
        tried.append(f"{event} {arguments}")
        raise PermissionError(tried[-1])


# Before the pipeline and all that it imports.
sys.addaudithook(refuse_sockets)

from backend import pipeline  # noqa: E402
from tests.drafts import quick_drafts  # noqa: E402


def run(*arguments):
    with quick_drafts():
        result = pipeline.run(*arguments)
    assert not tried, tried
    return result
