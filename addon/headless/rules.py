"""Which reference and which settings each of many objects gets: from a file of rules, and from custom
properties in the .blend.

The specific overrides the general: the settings for all, then those of collections, outer before inner, then
those of the object, then the rules of a file, in which later rules override earlier ones. See docs/batch.md.
"""

import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path

import bpy
import numpy as np

from ...backend.api.errors import InvalidImage, InvalidSettings
from ...backend.api.settings import Settings
from ..jobs import reference
from ..jobs.client import Reference
from ..objects import region

SETTING_NAMES = tuple(entry.name for entry in fields(Settings))
"""Settings that a rule or a custom property may give."""

PROPERTY_PREFIX = "orbit:"
"""Prefix of our custom properties of objects and collections: ``orbit:image``, ``orbit:painter`` …"""

_PROPERTY_NAMES = ("image", *SETTING_NAMES)
_RULE_KEYS = ("objects", "collections", *_PROPERTY_NAMES)


@dataclass(frozen=True)
class Rule:
    """The reference and settings of some objects: those whose name matches one of ``objects``, in a
    collection whose name matches one of ``collections``.

    Attributes:
        objects, collections: names, or patterns with ``*`` and ``?``; empty for any.
        image: the reference, or None if the rule gives none.
        settings: values of some fields of :class:`Settings`.
    """

    objects: tuple[str, ...]
    collections: tuple[str, ...]
    image: Path | None
    settings: dict

    def matches(self, obj: bpy.types.Object) -> bool:
        """Whether the rule is for the object."""
        names = (collection.name for collection in enclosing_collections(obj))
        return (not self.objects or _matches_any(obj.name, self.objects)) and (
            not self.collections or any(_matches_any(name, self.collections) for name in names)
        )


@dataclass(frozen=True)
class Plan:
    """How to texture each of many objects.

    Attributes:
        base: returns an object's settings before collections, object and rules override them; may raise an
            :class:`OrbitError`.
        image: returns the reference for all objects, or None; may raise one too.
        folder: contains an image per object, with the object's name; "" for none.
        rules: the rules of a file.
        mask: (H, W) uint8: only where it is not black, the take that each object shows is repainted; None
            for a whole new texture.
    """

    base: Callable[[bpy.types.Object], Settings]
    image: Callable[[], Reference] | None = None
    folder: str = ""
    rules: tuple[Rule, ...] = ()
    mask: np.ndarray | None = None

    def repaint_of(self, obj: bpy.types.Object) -> region.Repaint | None:
        """The region of an object's take to repaint; None for a whole new texture.

        Raises:
            InvalidTarget: the object shows no take that can be repainted.
        """
        return None if self.mask is None else region.repaint(obj, region.worn(obj), self.mask)

    def settings_of(self, obj: bpy.types.Object) -> Settings:
        """The settings of an object.

        Raises:
            InvalidSettings: a custom property is not a setting, or its value is not allowed.
            InvalidTarget: as for :meth:`repaint_of`.
        """
        values = self.base(obj).to_dict()
        for owner in (*enclosing_collections(obj), obj):
            values |= {name: value for name, value in custom_properties(owner).items() if name != "image"}
        for rule in self._matching_rules(obj):
            values |= rule.settings
        settings = Settings.from_dict(values)
        return settings if self.mask is None else region.settings(obj, region.worn(obj), settings)

    def reference_of(self, obj: bpy.types.Object) -> Reference:
        """The reference of the last rule that gives one, else the object's own, else its innermost
        collection's, else the image in the folder with the object's name, else the one for all.

        Raises:
            InvalidImage: there is none, or it cannot be used.
            InvalidSettings: a custom property is not a setting.
        """
        if images := [rule.image for rule in self._matching_rules(obj) if rule.image]:
            return reference.from_file(images[-1])
        if image := custom_properties(obj).get("image") or obj.orbit_texture.reference:
            return _reference(image)
        if images := [
            image for owner in enclosing_collections(obj) if (image := custom_properties(owner).get("image"))
        ]:
            return _reference(images[-1])
        if self.folder and (file := reference.find_in_folder(self.folder, obj.name)):
            return file
        if self.image:
            return self.image()
        raise InvalidImage(
            f"There is no reference for '{obj.name}'. Give the object its own, put {obj.name}.png into the "
            "folder, or choose one image for all objects."
        )

    def list_unused_rules(self, objects: Iterable[bpy.types.Object]) -> list[str]:
        """A note for each rule that matches none of the objects; probably a name in it is misspelt."""
        objects = list(objects)
        return [
            f"The rule for {', '.join(rule.objects + rule.collections)} matches no object here."
            for rule in self.rules
            if not any(map(rule.matches, objects))
        ]

    def _matching_rules(self, obj: bpy.types.Object) -> list[Rule]:
        return [rule for rule in self.rules if rule.matches(obj)]


def read_file(file: Path) -> tuple[Rule, ...]:
    """The rules of a TOML file, its ``[[rule]]`` tables; paths are relative to the file.

    Raises:
        InvalidSettings: the file is missing, not TOML, or has an unknown key.
    """
    data = read_toml(file)
    if unknown := sorted(set(data) - {"rule"}):
        raise InvalidSettings(
            f"The rules in {file.name} have no key called '{unknown[0]}'. Write a [[rule]] for each."
        )
    return read_rules(data.get("rule", []), file.resolve().parent)


def read_toml(file: Path) -> dict:
    """The content of a TOML file.

    Raises:
        InvalidSettings: the file is missing or not TOML.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidSettings(f"The file {file} cannot be read: {error}") from error


def read_rules(entries: list[dict], folder: Path) -> tuple[Rule, ...]:
    """The rules of parsed TOML tables, whose paths are relative to ``folder``.

    Raises:
        InvalidSettings: a rule has an unknown key, names no object or collection, or a setting has a value
            that is not allowed.
    """
    if not (isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)):
        raise InvalidSettings("Rules are tables: write [[rule]], with two brackets, above each.")
    return tuple(_read_rule(entry, folder) for entry in entries)


def custom_properties(owner: bpy.types.Object | bpy.types.Collection) -> dict:
    """Our custom properties of an object or collection, without their prefix: settings, and ``image``.

    Raises:
        InvalidSettings: one of them is not a setting.
    """
    keys = [key for key in owner.keys() if key.startswith(PROPERTY_PREFIX)]  # noqa: SIM118 (an ID is not a dict)
    found = {key.removeprefix(PROPERTY_PREFIX): owner[key] for key in keys}
    if unknown := sorted(set(found) - set(_PROPERTY_NAMES)):
        raise InvalidSettings(
            f"The custom property '{PROPERTY_PREFIX}{unknown[0]}' of '{owner.name}' is not a setting. "
            f"Possible settings: {', '.join(_PROPERTY_NAMES)}."
        )
    return found


def enclosing_collections(obj: bpy.types.Object) -> list[bpy.types.Collection]:
    """The scene's collections that contain the object, outer before inner. An object that the scene only
    instances has those that it is linked to."""
    return list(_path_to(obj, bpy.context.scene.collection)) or list(obj.users_collection)


def _path_to(obj: bpy.types.Object, collection: bpy.types.Collection) -> Iterator[bpy.types.Collection]:
    if collection.all_objects.get(obj.name) == obj:
        yield collection
        for child in collection.children:
            yield from _path_to(obj, child)


def _read_rule(entry: dict, folder: Path) -> Rule:
    if unknown := sorted(set(entry) - set(_RULE_KEYS)):
        raise InvalidSettings(
            f"A rule has no key called '{unknown[0]}'. Its keys are: {', '.join(_RULE_KEYS)}."
        )
    patterns = {key: entry.get(key, []) for key in ("objects", "collections")}
    are_lists_of_names = all(
        isinstance(names, list) and all(isinstance(name, str) for name in names)
        for names in patterns.values()
    )
    if not are_lists_of_names or not any(patterns.values()):
        raise InvalidSettings(
            'A rule must say which objects it is for: objects = ["Hat*"], or collections = ["Props"].'
        )
    settings = {name: value for name, value in entry.items() if name in SETTING_NAMES}
    # Another rule may give the other one of azimuth and elevation, so these two are checked per object.
    Settings.from_dict(
        {name: value for name, value in settings.items() if name not in ("azimuth", "elevation")}
    )
    if not isinstance(entry.get("image", ""), str):
        raise InvalidSettings(f"A rule's image must be a path in quotes, not {entry['image']!r}.")
    return Rule(
        **{key: tuple(names) for key, names in patterns.items()},
        image=folder / entry["image"] if "image" in entry else None,
        settings=settings,
    )


def _matches_any(name: str, patterns: tuple[str, ...]) -> bool:
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


def _reference(image: bpy.types.Image | str) -> Reference:
    if not isinstance(image, str | bpy.types.Image):
        raise InvalidSettings(
            f"The custom property '{PROPERTY_PREFIX}image' must be a path or an image, not {image!r}."
        )
    return reference.from_image(image) if isinstance(image, bpy.types.Image) else reference.from_file(image)
