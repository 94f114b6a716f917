"""Quality presets: our own, in an order of effort, and the user's, which Blender keeps as files."""

import ast
from dataclasses import dataclass
from pathlib import Path

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from ..backend.api.errors import InvalidSettings
from ..backend.api.settings import Settings
from ..backend.api.weights import WeightsSpec, format_size
from .setup import weights

FOLDER = "orbit_texture"
"""Of the user's presets, in Blender's folder for presets."""

SETTINGS = ("painter", "quality", "view_transform", "texture_size", "refine")
"""The settings that a preset holds."""


@dataclass(frozen=True)
class QualityPreset:
    """One of our presets.

    Attributes:
        name: for users.
        changes: the settings in which it differs from the defaults.
        description: how it makes a texture, what it needs and about how long it takes, as sentences.
    """

    name: str
    changes: dict
    description: str

    @property
    def values(self) -> dict:
        """The settings of the preset, by name."""
        settings = Settings(**self.changes).to_dict()
        return {name: settings[name] for name in SETTINGS}


OURS = (
    QualityPreset(
        "Draft",
        {"painter": "draft"},
        "Lays the reference on the mesh and continues it over the rest. Needs no AI model and no graphics "
        "card. About a minute, 3 GB of memory.",
    ),
    QualityPreset(
        "Fast",
        {"painter": "orbitpainter", "quality": "fast"},
        "The AI model OrbitPainter paints all sides, in four steps. Needs its weights and a graphics card. "
        "Estimated for an RTX 4090: 5 minutes.",
    ),
    QualityPreset(
        "Balanced",
        {"painter": "orbitpainter", "quality": "balanced"},
        "The AI model OrbitPainter paints all sides, and skips steps that change little. Needs its weights "
        "and a graphics card. Estimated for an RTX 4090: an hour.",
    ),
    QualityPreset(
        "Quality",
        {"painter": "orbitpainter", "quality": "quality"},
        "The AI model OrbitPainter paints all sides, in all its steps. Needs its weights and a graphics "
        "card. Estimated for an RTX 4090: two hours.",
    ),
)
"""Our presets; each takes more than the one before."""


def read_preset(name: str) -> dict:
    """The settings in a preset, ours or the user's, as :class:`Settings` takes them.

    Raises:
        InvalidSettings: there is no such preset, or its file cannot be read.
    """
    for preset in OURS:
        if preset.name == name:
            return preset.values
    file = next((file for file in list_files() if display_name(file) == name), None)
    if file is None:
        names = ", ".join([preset.name for preset in OURS] + [display_name(file) for file in list_files()])
        raise InvalidSettings(f"There is no quality preset called '{name}'. There are: {names}.")
    try:
        values = _read_assignments(file)
        return values | ({"texture_size": int(values["texture_size"])} if "texture_size" in values else {})
    except (OSError, ValueError, SyntaxError) as error:
        raise InvalidSettings(f"The quality preset '{name}' cannot be read: {error}") from error


def describe_preset(name: str) -> str:
    """What a preset does and needs, as sentences.

    Raises:
        InvalidSettings: as for :func:`read_preset`.
    """
    values = read_preset(name)
    ours = next((preset for preset in OURS if preset.name == name), None)
    text = rpt_(ours.description) if ours else rpt_("A preset of your own.")
    for needs in list_missing_weights(values):
        download = rpt_("{}'s weights are not on this computer: a download of {}.")
        text += " " + download.format(needs.title, format_size(needs.size))
    return text


def list_missing_weights(values: dict) -> list[WeightsSpec]:
    """The weights that a preset with these values needs and that are not on this computer."""
    known = {name: value for name, value in values.items() if name in SETTINGS}
    return weights.missing(Settings.from_dict(known))


def list_files() -> list[Path]:
    """The files of the user's presets, by name."""
    folders = [Path(folder) for folder in bpy.utils.preset_paths(FOLDER)]
    return sorted(file for folder in folders if folder.is_dir() for file in folder.glob("*.py"))


def display_name(file: Path) -> str:
    """The name of a user's preset."""
    return bpy.path.display_name(file.name, title_case=False)


def _read_assignments(file: Path) -> dict:
    """The values that a preset's file gives to settings; nothing of it is run."""
    lines = ast.parse(file.read_text(encoding="utf-8")).body
    return {
        line.targets[0].attr: ast.literal_eval(line.value)
        for line in lines
        if isinstance(line, ast.Assign)
        and isinstance(line.targets[0], ast.Attribute)
        and ast.unparse(line.targets[0].value) == "settings"
    }
