"""Blender without a window draws no panel, so a layout that only notes what it is told stands for it."""

from types import SimpleNamespace

import bpy


class Pressed:
    """A button, whose properties may be set."""


class Layout:
    """Notes the labels and the buttons that are drawn into it or its parts, and where they are.

    Heights are in rows of Blender's interface.
    """

    def __init__(self, columns: int = 1, is_row: bool = False):
        self.labels, self.icons, self.buttons = [], [], []
        self.scale_y = 1.0
        self._columns, self._is_row = columns, is_row
        self._children: list = []  # parts, or (height, what can be clicked or "")

    def label(self, text="", icon="NONE", **_):
        self.labels.append(text)
        self.icons.append(icon)
        self._children.append((1.0, ""))

    def operator(self, name, text="", depress=False, **_):
        self.buttons.append((name.removeprefix("orbit_texture."), text, depress))
        self._children.append((1.0, f"{name} {text}".strip()))
        return Pressed()

    def prop(self, _owner, name, **_):
        self._children.append((1.0, name))

    def template_ID(self, _owner, name, **_):
        self._children.append((1.0, name))

    def template_list(self, _kind, _id, _owner, name, *_, rows=5):
        self._children.append((float(rows), name))

    def context_pointer_set(self, *_):
        pass

    def popover(self, name, **_):
        self._children.append((1.0, name))

    menu = popover

    def progress(self, text="", **_):
        self.labels.append(text)
        self._children.append((1.0, ""))

    def template_icon(self, _icon, scale=1.0):
        self._children.append((scale, ""))

    def separator(self, **_):
        self._children.append((0.5, ""))

    def icon(self, _block) -> int:
        return 1

    def row(self, **_) -> "Layout":
        return self._add_part(is_row=True)

    def column(self, **_) -> "Layout":
        return self._add_part()

    box = column

    def grid_flow(self, columns=1, **_) -> "Layout":
        return self._add_part(columns)

    @property
    def text(self) -> str:
        return " ".join(self.labels)

    @property
    def height(self) -> float:
        """Of all that was drawn, in rows."""
        return self.scale_y * sum(max(map(_height, line)) for line in self._lines())

    def places(self, top: float = 0.0) -> list[tuple[str, float]]:
        """What can be clicked, and how far below the top it is, in rows."""
        found = []
        for line in self._lines():
            for child in line:
                found += child.places(top) if isinstance(child, Layout) else [(child[1], top)]
            top += max(map(_height, line))
        return [(name, place) for name, place in found if name]

    def _lines(self) -> list[list]:
        if self._is_row:
            return [self._children] if self._children else []
        columns = self._columns
        return [self._children[first : first + columns] for first in range(0, len(self._children), columns)]

    def _add_part(self, columns: int = 1, is_row: bool = False) -> "Layout":
        part = Layout(columns, is_row)
        part.labels, part.icons, part.buttons = self.labels, self.icons, self.buttons
        self._children.append(part)
        return part


def _height(child) -> float:
    return child.height if isinstance(child, Layout) else child[0]


class Context:
    """Blender's context with what it lacks without a window: a region, a viewport, and a scale of its
    interface."""

    region = SimpleNamespace(width=300)
    preferences = SimpleNamespace(system=SimpleNamespace(ui_scale=1.0))
    space_data = SimpleNamespace(type="VIEW_3D", shading=SimpleNamespace(type="SOLID", color_type="MATERIAL"))

    def __getattr__(self, name):
        return getattr(bpy.context, name)
