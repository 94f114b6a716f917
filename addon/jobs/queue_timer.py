"""Polls the queue and a running installation while Blender runs: one timer, and handlers for opening and
saving a file."""

import time
from collections.abc import Callable

import bpy
from bpy.app.handlers import persistent

from ..setup import devices, environment_state, install_process, weights
from ..viewport import redraw
from .entry import JobEntry
from .queue import queue

BUSY_INTERVAL = 0.1
"""Seconds between two polls while a job or an installation runs."""

PANEL_INTERVAL = 0.3
"""Seconds between two drawings of the panels meanwhile, for which Blender may need the worker's processor."""

on_end: list[Callable[[JobEntry], None]] = []
"""Called with each job that was seen at work and is over now."""

_panels_due_at = 0.0
_at_work: set[str] = set()


def start() -> None:
    """Starts the timer unless it runs. Without a window there are no timers: ``headless/texturing.py`` polls
    in a loop of its own."""
    if not bpy.app.background and not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=BUSY_INTERVAL, persistent=True)


def _tick() -> float | None:
    global _panels_due_at
    if queue.poll():
        redraw.tag_viewports()
    _tell_ends()
    install_process.poll()
    busy = queue.busy or queue.is_checking() or install_process.busy()
    if not busy or time.monotonic() > _panels_due_at:
        _panels_due_at = time.monotonic() + PANEL_INTERVAL
        redraw.tag_panels()
    return BUSY_INTERVAL if busy else None


def _tell_ends() -> None:
    for entry in queue.entries:
        if not entry.is_settled:
            _at_work.add(entry.job)
        elif entry.job in _at_work:
            _at_work.remove(entry.job)
            for tell in on_end:
                tell(entry)


@persistent
def _on_load_post(_file) -> None:
    weights.refresh()
    devices.refresh()
    environment_state.refresh(try_it=not bpy.app.background)
    if not bpy.app.background:
        queue.recover()
        if queue.busy:
            start()


@persistent
def _on_save_pre(_file) -> None:
    queue.on_save_pre()


@persistent
def _on_save_post(_file) -> None:
    queue.on_save_post()


def register() -> None:
    bpy.app.handlers.load_post.append(_on_load_post)
    bpy.app.handlers.save_pre.append(_on_save_pre)
    bpy.app.handlers.save_post.append(_on_save_post)


def unregister() -> None:
    bpy.app.handlers.save_post.remove(_on_save_post)
    bpy.app.handlers.save_pre.remove(_on_save_pre)
    bpy.app.handlers.load_post.remove(_on_load_post)
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    install_process.shut_down()
    queue.close()
