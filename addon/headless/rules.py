"""Which reference and which settings each of many objects gets: from a file of rules, and from custom
properties in the .blend.

The particular wins over the general: what is set for all, then collections, outer before inner, then the
object, then the rules of a file, of which the later is the stronger. See docs/batch.md.
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

SETTINGS = tuple(entry.name for entry in fields(Settings))

PREFIX = "orbit:"
"""Of the custom properties of objects and collections that are ours: ``orbit:image``, ``orbit:painter`` …"""

_PROPERTIES = ("image", *SETTINGS)
_RULE_KEYS = ("objects", "collections", *_PROPERTIES)


@dataclass(frozen=True)
class Rule:
    """What some objects get: those whose name matches one of ``objects``, in a collection that matches one of
    ``collections``.

    Attributes:
        objects, collections: names, or patterns with ``*`` and ``?``; empty for any.
        image: reference, or None if the rule names none.
        settings: fields of :class:`Settings`.
    """

    objects: tuple[str, ...]
    collections: tuple[str, ...]
    image: Path | None
    settings: dict

    def means(self, obj: bpy.types.Object) -> bool:
        around = (collection.name for collection in collections_around(obj))
        return (not self.objects or _matches(obj.name, self.objects)) and (
            not self.collections or any(_matches(name, self.collections) for name in around)
        )


@dataclass(frozen=True)
class Plan:
    """How to texture each of many objects.

    Attributes:
        base: the settings of an object for which nothing else is said; may raise an :class:`OrbitError`.
        image: gives the reference for all, or None; may raise one too.
        folder: with a picture per object, called like it; "" for none.
        rules: of a file.
        mask: (H, W) uint8: only what is not black there is painted anew of the take that each object wears;
            None for all.
    """

    base: Callable[[bpy.types.Object], Settings]
    image: Callable[[], Reference] | None = None
    folder: str = ""
    rules: tuple[Rule, ...] = ()
    mask: np.ndarray | None = None

    def repaint_of(self, obj: bpy.types.Object) -> region.Repaint | None:
        """Raises :class:`InvalidTarget` if the object wears no take that can be repainted."""
        return None if self.mask is None else region.repaint(obj, region.worn(obj), self.mask)

    def settings_of(self, obj: bpy.types.Object) -> Settings:
        """Raises :class:`InvalidSettings` for a custom property that is no setting, or a value that it cannot
        have; and :class:`InvalidTarget` as :meth:`repaint_of` does."""
        said = self.base(obj).to_dict()
        for owner in (*collections_around(obj), obj):
            said |= {name: value for name, value in properties(owner).items() if name != "image"}
        for rule in self._meant(obj):
            said |= rule.settings
        settings = Settings.from_dict(said)
        return settings if self.mask is None else region.settings(obj, region.worn(obj), settings)

    def reference_of(self, obj: bpy.types.Object) -> Reference:
        """The reference of the last rule that names one, else the object's own, else its innermost
        collection's, else the folder's picture that is called like the object, else the one for all.

        Raises:
            InvalidImage: there is none, or it cannot be used.
            InvalidSettings: a custom property is no setting.
        """
        if images := [rule.image for rule in self._meant(obj) if rule.image]:
            return reference.from_file(images[-1])
        if image := properties(obj).get("image") or obj.orbit_texture.reference:
            return _reference(image)
        if images := [
            image for owner in collections_around(obj) if (image := properties(owner).get("image"))
        ]:
            return _reference(images[-1])
        if self.folder and (file := reference.find_in_folder(self.folder, obj.name)):
            return file
        if self.image:
            return self.image()
        raise InvalidImage(
            f"There is no reference for '{obj.name}'. Give the object one, put {obj.name}.png into the "
            "folder, or choose one image for all."
        )

    def idle(self, objects: Iterable[bpy.types.Object]) -> list[str]:
        """A sentence for each rule that means none of the objects: probably a name in it is misspelt."""
        objects = list(objects)
        return [
            f"The rule for {', '.join(rule.objects + rule.collections)} means no object here."
            for rule in self.rules
            if not any(map(rule.means, objects))
        ]

    def _meant(self, obj: bpy.types.Object) -> list[Rule]:
        return [rule for rule in self.rules if rule.means(obj)]


def read_file(file: Path) -> tuple[Rule, ...]:
    """The rules of a TOML file, its ``[[rule]]`` tables; its paths are relative to it.

    Raises:
        InvalidSettings: the file is missing, not TOML, or has an unknown key.
    """
    data = read_toml(file)
    if unknown := sorted(set(data) - {"rule"}):
        raise InvalidSettings(
            f"The rules in {file.name} have no key called '{unknown[0]}'. Write a [[rule]] for each."
        )
    return read(data.get("rule", []), file.resolve().parent)


def read_toml(file: Path) -> dict:
    """A TOML file's content; raises :class:`InvalidSettings` if it is missing or no TOML."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidSettings(f"The file {file} cannot be read: {error}") from error


def read(entries: list[dict], folder: Path) -> tuple[Rule, ...]:
    """Rules as TOML has them; ``folder`` is what their paths are relative to.

    Raises:
        InvalidSettings: a rule has an unknown key, names no object or collection, or a setting has a value
            that it cannot have.
    """
    if not (isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)):
        raise InvalidSettings("Rules are tables: write [[rule]], with two brackets, above each.")
    return tuple(_read_rule(entry, folder) for entry in entries)


def properties(owner: bpy.types.Object | bpy.types.Collection) -> dict:
    """The custom properties of an object or collection that are ours, without their prefix: settings, and
    ``image``.

    Raises:
        InvalidSettings: one of them is no setting.
    """
    found = {key.removeprefix(PREFIX): owner[key] for key in owner.keys() if key.startswith(PREFIX)}  # noqa: SIM118 (IDs are no dicts)
    if unknown := sorted(set(found) - set(_PROPERTIES)):
        raise InvalidSettings(
            f"The custom property '{PREFIX}{unknown[0]}' of '{owner.name}' is no setting. "
            f"There are: {', '.join(_PROPERTIES)}."
        )
    return found


def collections_around(obj: bpy.types.Object) -> list[bpy.types.Collection]:
    """The scene's collections that hold the object, outer before inner; of one that is only instanced there,
    its own."""
    return list(_holding(obj, bpy.context.scene.collection)) or list(obj.users_collection)


def _holding(obj: bpy.types.Object, collection: bpy.types.Collection) -> Iterator[bpy.types.Collection]:
    if collection.all_objects.get(obj.name) == obj:
        yield collection
        for child in collection.children:
            yield from _holding(obj, child)


def _read_rule(entry: dict, folder: Path) -> Rule:
    if unknown := sorted(set(entry) - set(_RULE_KEYS)):
        raise InvalidSettings(
            f"A rule has no key called '{unknown[0]}'. Its keys are: {', '.join(_RULE_KEYS)}."
        )
    meant = {key: entry.get(key, []) for key in ("objects", "collections")}
    names_only = all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in meant.values()
    )
    if not names_only or not any(meant.values()):
        raise InvalidSettings(
            'A rule must say which objects it means: objects = ["Hat*"], or collections = ["Props"].'
        )
    settings = {name: value for name, value in entry.items() if name in SETTINGS}
    # One of azimuth and elevation may come from elsewhere, so they are checked with everything else, for each
    # object.
    Settings.from_dict(
        {name: value for name, value in settings.items() if name not in ("azimuth", "elevation")}
    )
    if not isinstance(entry.get("image", ""), str):
        raise InvalidSettings(f"A rule's image is a path in quotes, not {entry['image']!r}.")
    return Rule(
        **{key: tuple(names) for key, names in meant.items()},
        image=folder / entry["image"] if "image" in entry else None,
        settings=settings,
    )


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


def _reference(image: bpy.types.Image | str) -> Reference:
    if not isinstance(image, str | bpy.types.Image):
        raise InvalidSettings(f"The custom property '{PREFIX}image' is a path or an image, not {image!r}.")
    return reference.from_image(image) if isinstance(image, bpy.types.Image) else reference.from_file(image)
