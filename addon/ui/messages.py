"""What the user should know now, the most important first: the main panel has room for the beginning of one,
Show Messages has all of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import bpy
from bpy.app.translations import pgettext_iface as iface_
from bpy.app.translations import pgettext_rpt as rpt_

from ...backend.api.events import State
from ...backend.api.torch_builds import DISK_GIGABYTES
from ..checks import inspection, preflight
from ..jobs.entry import JobEntry
from ..reference_check.checks import checks
from ..setup import environment_state, install_process
from ..setup.environment_state import EnvironmentState
from ..viewport import solid_texture
from .job import FIXES, describe_device, has_take
from .text import describe_time_left, draw_lines, draw_wrapped_text, wrap

LINES = 3
"""Lines of text that the main panel has for a message."""

BACKEND_STATES = {
    EnvironmentState.ABSENT: "The backend is not installed",
    EnvironmentState.UNFINISHED: "The backend's installation is not finished",
    EnvironmentState.BROKEN: "The backend is installed, but it does not run",
    EnvironmentState.INSTALLED: "The backend is installed",
}
"""The state of the backend's environment, as the panels say it."""


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        text: what it says.
        icon: of Blender's interface.
        draw_button: draws the button that helps into a layout; None if there is none.
    """

    text: str
    icon: str = "ERROR"
    draw_button: Callable | None = None


def list_messages(context, entry: JobEntry | None) -> list[Message]:
    """All messages for the active object, the most important first.

    Args:
        entry: the job that the panel shows, if there is one.
    """
    found = [*_find_progress(entry), *_find_end(context, entry), *_find_setup()]
    found += find_job_messages(context, entry)
    found += _find_notices(context, urgent=True)
    if check := checks.find_shown(context.object, context.scene.orbit_texture):
        found += _find_check(check)
    return [*found, *_find_notices(context, urgent=False), *_find_unchecked(context)]


def draw_first_message(layout, context, messages: list[Message]) -> None:
    """Draws the beginning of the first message and its button. The height is the same for all, and for
    none."""
    nothing = Message("No problems found", "CHECKMARK") if context.object else Message("", "NONE")
    first = messages[0] if messages else nothing
    lines = wrap(context, first.text)
    is_cut = len(lines) > LINES
    shown = [*lines[: LINES - 1], f"{lines[LINES - 1]} …"] if is_cut else lines
    draw_lines(layout, [*shown, *[""] * (LINES - len(shown))], first.icon)
    row = layout.row(align=True)
    if first.draw_button:
        first.draw_button(row)
    if is_cut or len(messages) > 1:
        row.operator("orbit_texture.show_messages", text=rpt_("All Messages ({})").format(len(messages)))
    elif not first.draw_button:
        row.label(text="")


def draw_messages(layout, context, messages: list[Message], width: int) -> None:
    """Draws all messages with their buttons, wrapped at a width in pixels at scale 1."""
    for message in messages:
        draw_wrapped_text(layout, context, message.text, icon=message.icon, width=width)
        if message.draw_button:
            message.draw_button(layout.row())


def _button(operator: str, text: str = "", **properties) -> Callable:
    def draw(layout) -> None:
        button = layout.operator(operator, text=text) if text else layout.operator(operator)
        for name, value in properties.items():
            setattr(button, name, value)

    return draw


def _find_setup() -> Iterator[Message]:
    run = install_process.current()
    if run and run.is_running:
        yield Message(
            f"{iface_(run.title)} … {run.lines[-1].strip() if run.lines else ''}",
            "SORTTIME",
            _button("orbit_texture.stop_setup"),
        )
        return
    if run and run.status:
        yield Message(f"{iface_(run.title)}: {run.reason}")
    state = environment_state.get()
    if state is EnvironmentState.INSTALLED:
        return
    needs = rpt_("{} ({:g} to {:g} GB).").format(
        rpt_(BACKEND_STATES[state]), DISK_GIGABYTES["cpu"], DISK_GIGABYTES["cuda"]
    )
    if not bpy.app.online_access:
        allow = _button("extensions.userpref_allow_online", iface_("Allow Online Access"))
        yield Message(f"{needs} {rpt_('Blender is offline: allow online access first.')}", "ERROR", allow)
    else:
        is_broken = state is EnvironmentState.BROKEN
        yield Message(needs, "ERROR", _button("orbit_texture.install_backend", anew=is_broken))


def find_job_messages(context, entry: JobEntry | None) -> Iterator[Message]:
    """Why a job has failed, or why its result waits."""
    if entry and entry.error and entry.error.code != "cancelled":
        # A failed download is repeated through its dialog, which asks again.
        if entry.download:
            button = _button("orbit_texture.download_weights", model=entry.download)
        else:
            button = _button(f"orbit_texture.{entry.error.fix}") if entry.error.fix in FIXES else None
        yield Message(entry.error.message, "ERROR", button)
    elif entry and entry.result and entry.obstacle:
        is_mode = context.mode != "OBJECT"
        yield Message(entry.obstacle, "INFO", _button("orbit_texture.object_mode") if is_mode else None)


def _find_check(check) -> Iterator[Message]:
    if check.error:
        button = None
        if check.error.fix == "retry":
            button = _button("orbit_texture.check_reference", iface_("Check Again"))
        elif check.error.fix in FIXES:
            button = _button(f"orbit_texture.{check.error.fix}")
        yield Message(check.error.message, "ERROR", button)


def _find_progress(entry: JobEntry | None) -> Iterator[Message]:
    """How long a running job will take, and what it uses."""
    if entry is None or entry.is_settled or entry.event.state is not State.RUNNING:
        return
    left = entry.event.seconds_left
    parts = ["" if left is None else f"{describe_time_left(left)}.", describe_device([entry])]
    if text := " ".join(filter(None, parts)):
        yield Message(text, "TIME")


def _find_end(context, entry: JobEntry | None) -> Iterator[Message]:
    """Where the colours of a finished take are from, with Show Texture where it cannot be seen."""
    if entry is None or not entry.applied or not has_take(context.object, entry):
        return
    shares = (entry.report or {}).get("color_source")
    text = rpt_("{from_picture} % of it is from the picture, {mirrored} % mirrored, {invented} % invented.")
    if solid_texture.can_show(context.space_data):
        button = _button("orbit_texture.show_texture")
        yield Message(
            text.format(**shares) if shares else rpt_("This viewport shows no textures."), "INFO", button
        )
    elif shares:
        yield Message(text.format(**shares), "INFO")


def _find_notices(context, urgent: bool) -> Iterator[Message]:
    obj = context.object
    if obj is None or obj.type != "MESH" or not obj.select_get():
        return
    settings = context.scene.orbit_texture.to_settings()
    for notice in preflight.notices(obj, settings, inspection.get_cached_check(obj)):
        if notice.urgent == urgent:
            button = _button(f"orbit_texture.{notice.fix}") if notice.fix else None
            yield Message(notice.text, "ERROR" if urgent else "INFO", button)


def _find_unchecked(context) -> Iterator[Message]:
    obj = context.object
    if obj is None or obj.type != "MESH" or obj.mode != "OBJECT" or inspection.get_cached_check(obj):
        return
    yield Message(
        "This mesh has not been checked for flipped faces and overlapping UVs.",
        "QUESTION",
        _button("orbit_texture.check_mesh"),
    )
