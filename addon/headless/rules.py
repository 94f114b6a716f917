"""Which reference and which settings each of many objects gets: from a file of rules, and from custom
properties in the .blend.

The specific overrides the general: the settings for all, then those of collections, outer before inner, then
those of the object, then the rules of a file, in which later rules override earlier ones. See docs/batch.md.
"""

import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

import bpy
import numpy as np

from ...backend.api.errors import InvalidImage, InvalidSettings
from ...backend.api.settings import Settings
from ..jobs import reference
from ..jobs.request import Reference
from ..jobs.submission import JobInputs
from ..objects import region
from .picture_sources import NOTHING, PictureSource, from_files, from_folder, from_panel

SETTING_NAMES = tuple(entry.name for entry in fields(Settings))
"""Settings that a rule or a custom property may give."""

PROPERTY_PREFIX = "orbit:"
"""Prefix of our custom properties of objects and collections: ``orbit:image``, ``orbit:painter`` …"""

_IMAGE_NAMES = ("image", "mask")
"""Images that a rule or a custom property may give."""

_PROPERTY_NAMES = (*_IMAGE_NAMES, *SETTING_NAMES)
_RULE_KEYS = ("objects", "collections", "pictures", *_PROPERTY_NAMES)


@dataclass(frozen=True)
class Rule:
    """The reference and settings of some objects: those whose name matches one of ``objects``, in a
    collection whose name matches one of ``collections``.

    Attributes:
        objects, collections: names, or patterns with ``*`` and ``?``; empty for any.
        image: the reference, or None if the rule gives none.
        mask: which pixels of the reference show the object, or None if the rule does not say.
        pictures: the reference and the other pictures of the object, in place of an image; or empty.
        settings: values of some fields of :class:`Settings`.
    """

    objects: tuple[str, ...]
    collections: tuple[str, ...]
    image: Path | None
    mask: Path | None
    settings: dict
    pictures: tuple[Path, ...] = ()

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
        common: the pictures for all objects that have no other ones; its functions may raise one too.
        folder: contains images with the objects' names, see :func:`.picture_sources.from_folder`; "" for
            none.
        rules: the rules of a file.
        marked: (H, W) uint8: only where it is not black, the take that each object shows is repainted; None
            for a whole new texture.
        uses_pins: whether each object's pins place the camera.
    """

    base: Callable[[bpy.types.Object], Settings]
    common: PictureSource = NOTHING
    folder: str = ""
    rules: tuple[Rule, ...] = ()
    marked: np.ndarray | None = None
    uses_pins: bool = False

    def inputs_of(self, obj: bpy.types.Object) -> JobInputs:
        """Everything that an object's job needs.

        Raises:
            OrbitError: as for the methods below.
        """
        source = next((source for source in self._sources(obj) if source.image), NOTHING)
        return JobInputs(
            self.reference_of(obj),
            self.settings_of(obj),
            self.repaint_of(obj),
            self.mask_of(obj),
            self.uses_pins,
            source.side,
            source.more() if source.more and self.marked is None else (),
        )

    def repaint_of(self, obj: bpy.types.Object) -> region.RegionRepaint | None:
        """The region of an object's take to repaint; None for a whole new texture.

        Raises:
            InvalidTarget: the object shows no take that can be repainted.
        """
        return (
            None
            if self.marked is None
            else region.prepare_repaint(obj, region.get_shown_take(obj), self.marked)
        )

    def settings_of(self, obj: bpy.types.Object) -> Settings:
        """The settings of an object.

        Raises:
            InvalidSettings: a custom property is not a setting, or its value is not allowed.
            InvalidTarget: as for :meth:`repaint_of`.
        """
        values = self.base(obj).to_dict()
        for owner in (*enclosing_collections(obj), obj):
            values |= {
                name: value for name, value in custom_properties(owner).items() if name in SETTING_NAMES
            }
        for rule in self._matching_rules(obj):
            values |= rule.settings
        settings = Settings.from_dict(values)
        return (
            settings
            if self.marked is None
            else region.repaint_settings(obj, region.get_shown_take(obj), settings)
        )

    def reference_of(self, obj: bpy.types.Object) -> Reference:
        """The reference of the last rule that gives one, else the object's own, else its innermost
        collection's, else the image in the folder with the object's name, else the one for all.

        Raises:
            InvalidImage: there is none, or it cannot be used.
            InvalidSettings: a custom property is not a setting.
        """
        for source in self._sources(obj):
            if source.image:
                return source.image()
        raise InvalidImage(
            f"There is no reference for '{obj.name}'. Give the object its own, put {obj.name}.png into the "
            "folder, or choose one image for all objects."
        )

    def mask_of(self, obj: bpy.types.Object) -> Reference | None:
        """Which pixels of an object's reference show it; None if that is to be found. It comes from where the
        reference comes from, or from a place that overrides that: the mask of a general image is not used
        with the object's own.

        Raises:
            InvalidImage: it cannot be used.
            InvalidSettings: a custom property is not a setting.
        """
        for source in self._sources(obj):
            if source.mask:
                return source.mask()
            if source.image:
                return None
        return None

    def list_unused_rules(self, objects: Iterable[bpy.types.Object]) -> list[str]:
        """A note for each rule that matches none of the objects; probably a name in it is misspelt."""
        objects = list(objects)
        return [
            f"The rule for {', '.join(rule.objects + rule.collections)} matches no object here."
            for rule in self.rules
            if not any(map(rule.matches, objects))
        ]

    def _sources(self, obj: bpy.types.Object) -> Iterator[PictureSource]:
        """What each place that may give pictures gives, the most specific first."""
        for rule in reversed(self._matching_rules(obj)):
            image, mask = _file_source(rule.image, "reference image"), _file_source(rule.mask, "mask")
            yield (
                replace(from_files(rule.pictures), mask=mask) if rule.pictures else PictureSource(image, mask)
            )
        own = custom_properties(obj)
        named = _property_source("image", own.get("image"))
        yield replace(
            PictureSource(named) if named else from_panel(obj.orbit_texture, obj.orbit_texture.reference),
            mask=_property_source("mask", own.get("mask")),
        )
        for owner in reversed(enclosing_collections(obj)):
            given = custom_properties(owner)
            yield PictureSource(*(_property_source(name, given.get(name)) for name in _IMAGE_NAMES))
        if self.folder:
            yield from_folder(self.folder, obj.name)
        yield self.common

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
    except OSError as error:
        raise InvalidSettings(f"The file {file} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise InvalidSettings(f"The file {file} is no text in UTF-8. Save it as that.") from error
    except (ValueError, RecursionError) as error:
        raise InvalidSettings(f"The file {file} is not TOML: {error}.") from error


def read_rules(entries: list[dict], folder: Path) -> tuple[Rule, ...]:
    """The rules of parsed TOML tables, whose paths are relative to ``folder``.

    Raises:
        InvalidSettings: a rule has an unknown key, names no object or collection, or a setting has a value
            that is not allowed.
    """
    if not _KINDS[TABLES](entries):
        raise InvalidSettings("Rules are tables: write [[rule]], with two brackets, above each.")
    return tuple(_read_rule(entry, folder) for entry in entries)


_KINDS = {
    "a path in quotes": lambda value: isinstance(value, str) and "\0" not in value,
    "a table": lambda value: isinstance(value, dict),
    "tables in two brackets, such as [[job]]": lambda value: (
        isinstance(value, list) and all(isinstance(v, dict) for v in value)
    ),
    'a list of paths in quotes, such as ["front.png", "back.png"]': lambda value: (
        isinstance(value, list) and value and all(isinstance(v, str) and "\0" not in v for v in value)
    ),
    'a list of names, such as ["Hat", "Shoe"]': lambda value: (
        isinstance(value, list) and all(isinstance(v, str) for v in value)
    ),
    'a table of paths in quotes, such as {Hat = "hat.png"}': lambda value: (
        isinstance(value, dict) and all(isinstance(v, str) and "\0" not in v for v in value.values())
    ),
    "true or false": lambda value: isinstance(value, bool),
}
"""What values of a TOML file may have to be, in words, and whether one is that."""

A_PATH, A_TABLE, TABLES, PATH_LIST, NAMES, PATHS, A_SWITCH = _KINDS

_RULE_KINDS = {"objects": NAMES, "collections": NAMES, "pictures": PATH_LIST} | dict.fromkeys(
    _IMAGE_NAMES, A_PATH
)


def check_kinds(table: dict, kinds: dict[str, str], owner: str) -> None:
    """Raises :class:`InvalidSettings` unless the values that a table has are of their kinds.

    Args:
        kinds: by key one of :data:`A_PATH` …
        owner: whose values they are, as the beginning of a sentence: "A rule's".
    """
    for key, kind in kinds.items():
        if key in table and not _KINDS[kind](table[key]):
            raise InvalidSettings(f"{owner} {key} must be {kind}, not {repr(table[key])[:80]}.")


def custom_properties(owner: bpy.types.Object | bpy.types.Collection) -> dict:
    """Our custom properties of an object or collection, without their prefix: settings, ``image`` and
    ``mask``.

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
    if not any(patterns.values()):
        raise InvalidSettings(
            'A rule must say which objects it is for: objects = ["Hat*"], or collections = ["Props"].'
        )
    check_kinds(entry, _RULE_KINDS, "A rule's")
    check_pictures(entry, "A rule")
    settings = {name: value for name, value in entry.items() if name in SETTING_NAMES}
    # Another rule may give the other one of azimuth and elevation, so these two are checked per object.
    Settings.from_dict(
        {name: value for name, value in settings.items() if name not in ("azimuth", "elevation")}
    )
    return Rule(
        **{key: tuple(names) for key, names in patterns.items()},
        **{name: folder / entry[name] if name in entry else None for name in _IMAGE_NAMES},
        settings=settings,
        pictures=tuple(folder / file for file in entry.get("pictures", [])),
    )


def check_pictures(table: dict, owner: str) -> None:
    """Raises :class:`InvalidSettings` if a table gives both an image and several pictures; ``owner`` begins
    the sentence."""
    if "pictures" in table and "image" in table:
        raise InvalidSettings(
            f"{owner} has both an image and pictures. Give the image as the first of the pictures."
        )


def _matches_any(name: str, patterns: tuple[str, ...]) -> bool:
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


def _file_source(file: Path | None, what: str) -> Callable[[], Reference] | None:
    return file and partial(reference.from_file, file, what)


def _property_source(name: str, value: bpy.types.Image | str | None) -> Callable[[], Reference] | None:
    return partial(_read_property, name, value) if value else None


def _read_property(name: str, value: bpy.types.Image | str) -> Reference:
    """The reference or the mask that a custom property gives."""
    if not isinstance(value, str | bpy.types.Image):
        raise InvalidSettings(
            f"The custom property '{PROPERTY_PREFIX}{name}' must be a path or an image, not {value!r}."
        )
    if isinstance(value, bpy.types.Image):
        return reference.from_image(value) if name == "image" else reference.mask_from_image(value)
    return reference.from_file(value, "reference image" if name == "image" else "mask")
