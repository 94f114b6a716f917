"""Blender without a window draws no panel, so a layout that only notes what it is told stands for it."""

from types import SimpleNamespace

import bpy


class Pressed:
    """A button, whose properties may be set."""


class Layout:
    """Notes the labels and the buttons that are drawn into it or its parts."""

    def __init__(self):
        self.labels, self.icons, self.buttons = [], [], []

    def label(self, text="", icon="NONE", **_):
        self.labels.append(text)
        self.icons.append(icon)

    def operator(self, name, text="", depress=False, **_):
        self.buttons.append((name.removeprefix("orbit_texture."), text, depress))
        return Pressed()

    def part(self, *_, **__):
        part = Layout()
        part.labels, part.icons, part.buttons = self.labels, self.icons, self.buttons
        return part

    def ignore(self, *_, **__):
        pass

    column = row = box = grid_flow = part
    icon = prop = progress = template_icon = template_ID = template_ID_preview = ignore

    @property
    def text(self) -> str:
        return " ".join(self.labels)


class Context:
    """Blender's context with what it lacks without a window: a region, and a scale of its interface."""

    region = SimpleNamespace(width=300)
    preferences = SimpleNamespace(system=SimpleNamespace(ui_scale=1.0))

    def __getattr__(self, name):
        return getattr(bpy.context, name)
