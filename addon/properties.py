"""What Orbit Texture stores in a .blend: the panel's settings on the scene; the identity, the reference and
the takes of an object on the object."""

from dataclasses import fields

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    IntVectorProperty,
    PointerProperty,
    StringProperty,
)

from ..backend.api.picture import SIDES
from ..backend.api.settings import Settings
from .reference_check import automatic
from .setting_texts import DESCRIPTIONS, list_choices
from .setup import devices, weights

_SETTINGS = {entry.name: entry for entry in fields(Settings)}
"""The fields of :class:`Settings` by name, with their defaults and ranges."""

_NOT_IN_PANEL = {"device", "on_doubt"}
"""Settings without a property of the panel: the device belongs to the computer, and a user sees a doubt
before anything is painted."""


def _enum_property(setting: str, label: str, **more):
    """An enum property with the choices and the default of a setting."""
    return EnumProperty(
        name=label,
        description=DESCRIPTIONS[setting],
        items=list_choices(setting),
        default=str(_SETTINGS[setting].default),
        **more,
    )


def _number_property(setting: str, label: str, kind, **more):
    """A number property with the range and the default of a setting. Its default is 0 where the setting has
    none."""
    entry = _SETTINGS[setting]
    return kind(
        name=label,
        description=DESCRIPTIONS[setting],
        default=entry.default or 0,
        min=entry.metadata["minimum"],
        max=entry.metadata["maximum"],
        **more,
    )


def _on_model_change(settings, context) -> None:
    weights.refresh()
    devices.refresh()


def _on_reference_change(settings, context) -> None:
    automatic.request_later()


def _on_rename(take, context) -> None:
    """Gives a renamed take a number if another take of the object has its name."""
    others = {other.name for other in take.id_data.orbit_texture.takes if other != take}
    wanted = take.name.strip() or "Take"
    candidates = [wanted, *(f"{wanted} {number}" for number in range(2, len(others) + 3))]
    free = next(name for name in candidates if name not in others)
    if free != take.name:
        take.name = free


class ReferencePicture(bpy.types.PropertyGroup):
    """A further picture of an object, beside its reference."""

    image: PointerProperty(type=bpy.types.Image, name="Picture", description="Another picture of the object")
    mask: PointerProperty(
        type=bpy.types.Image,
        name="Mask",
        description="Image of the picture's size, bright where it shows the object. Found automatically if "
        "there is none",
    )
    view: EnumProperty(
        name="Side Shown",
        description="Which side of the object this picture shows",
        default="AUTOMATIC",
        items=[
            ("AUTOMATIC", "Automatic", "Find the side from which the mesh looks like the picture"),
            *(
                (side.upper(), side.title(), f"Look for the view near the {side} of the object first")
                for side in SIDES
            ),
            ("GIVEN", "Angles", "Use the azimuth and elevation below"),
        ],
    )
    azimuth: _number_property("azimuth", "Azimuth", FloatProperty)
    elevation: _number_property("elevation", "Elevation", FloatProperty)


class SceneProperties(bpy.types.PropertyGroup):
    """The panel: the reference, the settings, and the objects of Texture Scene."""

    image: PointerProperty(
        type=bpy.types.Image,
        name="Reference",
        description="Image that the texture of every object without its own reference is made from",
        update=_on_reference_change,
    )
    pictures: CollectionProperty(
        type=ReferencePicture, name="Pictures", description="Pictures of the object from other sides"
    )
    active_picture: IntProperty(name="Picture", description="The selected row of the list of pictures")
    painter: _enum_property("painter", "Painter", update=_on_model_change)
    quality: _enum_property("quality", "Quality")
    view_transform: _enum_property("view_transform", "View Transform")
    white_balance: _enum_property("white_balance", "White Balance")
    light: _enum_property("light", "Light")
    start_from: _enum_property("start_from", "Start From")
    present_weight: _number_property("present_weight", "Weight", FloatProperty)
    texture_size: _enum_property("texture_size", "Texture Size")
    voxel_resolution: _enum_property("voxel_resolution", "Voxels")
    refine: BoolProperty(
        name="Refine",
        description=DESCRIPTIONS["refine"],
        default=_SETTINGS["refine"].default,
        update=_on_model_change,
    )
    refine_strength: _number_property("refine_strength", "Strength", FloatProperty)
    refine_steps: _number_property("refine_steps", "Steps", IntProperty)
    refine_resolution: _enum_property("refine_resolution", "Voxels")
    refine_views: _number_property("refine_views", "Images", IntProperty)
    seed: _number_property("seed", "Seed", IntProperty)
    view: EnumProperty(
        name="Side Shown",
        description="Which side of the object the reference shows",
        default="AUTOMATIC",
        update=_on_reference_change,
        items=[
            ("AUTOMATIC", "Automatic", "Find the side from which the mesh looks like the reference"),
            ("VIEWPORT", "This Viewport", "The reference shows the object as this viewport does"),
            ("CAMERA", "Active Camera", "The reference shows the object as the scene's camera does"),
            (
                "PINS",
                "Pins",
                "The side from which points on the mesh match the points that you have clicked in the image",
            ),
            ("GIVEN", "Angles", "Use the azimuth and elevation below"),
        ],
    )
    azimuth: _number_property("azimuth", "Azimuth", FloatProperty, update=_on_reference_change)
    elevation: _number_property("elevation", "Elevation", FloatProperty, update=_on_reference_change)
    targets: EnumProperty(
        name="Objects",
        description="Which mesh objects Texture Scene textures",
        default="SELECTED",
        items=[
            ("SELECTED", "Selected", "Every selected mesh object"),
            ("VISIBLE", "Visible", "Every visible mesh object"),
        ],
    )
    folder: StringProperty(
        name="Folder",
        subtype="DIR_PATH",
        description=(
            "Folder with an image per object, named after the object. Objects without one use the reference "
            "above"
        ),
    )
    rules: StringProperty(
        name="Rules",
        subtype="FILE_PATH",
        description="TOML file that gives some objects their own reference, painter or other settings",
    )

    def find_image(self, obj: bpy.types.Object | None) -> bpy.types.Image | None:
        """The reference for an object: its own if it has one, else the panel's."""
        return (obj.orbit_texture.reference if obj else None) or self.image

    def find_owner(self, obj: bpy.types.Object | None) -> "SceneProperties | ObjectProperties":
        """What has the pictures for an object: it itself if it has an own reference, else the panel."""
        return obj.orbit_texture if obj and obj.orbit_texture.reference else self

    def to_settings(self) -> Settings:
        is_given = self.view == "GIVEN"
        return Settings(
            painter=self.painter,
            quality=self.quality,
            view_transform=self.view_transform,
            white_balance=self.white_balance,
            light=self.light,
            start_from=self.start_from,
            present_weight=round(self.present_weight, 6),
            texture_size=int(self.texture_size),
            seed=self.seed,
            voxel_resolution=int(self.voxel_resolution),
            refine=self.refine,
            refine_strength=round(self.refine_strength, 6),  # Blender stores float32
            refine_steps=self.refine_steps,
            refine_resolution=int(self.refine_resolution),
            refine_views=self.refine_views,
            azimuth=round(self.azimuth, 4) if is_given else None,
            elevation=round(self.elevation, 4) if is_given else None,
            device=devices.device_setting(),
        )

    def from_settings(self, settings: Settings) -> None:
        """Sets the panel so that :meth:`to_settings` returns these settings, with the device of the
        preferences."""
        self.view = "AUTOMATIC" if settings.azimuth is None else "GIVEN"
        self.change(
            {
                name: value
                for name, value in settings.to_dict().items()
                if value is not None and name not in _NOT_IN_PANEL
            }
        )

    def change(self, settings: dict) -> None:
        """Sets some settings by name."""
        for name, value in settings.items():
            is_choice = self.bl_rna.properties[name].type == "ENUM"
            setattr(self, name, str(value) if is_choice else value)


class SavedSlot(bpy.types.PropertyGroup):
    """A material slot as it was before the first take."""

    link: StringProperty()
    material: PointerProperty(type=bpy.types.Material)


class Take(bpy.types.PropertyGroup):
    """One result on an object, kept beside the others. The user sees its name."""

    name: StringProperty(
        name="Name",
        description="Name of this take. No two takes of an object have the same",
        update=_on_rename,
    )
    material: PointerProperty(type=bpy.types.Material)
    uv_layer: StringProperty(description="The UV map that the texture uses")
    owns_uv_layer: BoolProperty(
        description="The UV map was added for a take and is removed with the last take that uses it"
    )
    own_topology: BoolProperty(description="Made without the modifiers that change the topology")
    layout: StringProperty(
        description="Fingerprint of the faces and the UV map that the texture was made for"
    )
    locked: BoolProperty(name="Lock", description="Keep this take from being removed")
    job: StringProperty(description="Id of the job that made it")
    settings: StringProperty(description="JSON of the settings that it was made with")
    report: StringProperty(description="JSON of the result's report")


class Pin(bpy.types.PropertyGroup):
    """A point on the mesh, and where the reference shows it."""

    point: FloatVectorProperty(size=3, description="Position in the object's space")
    place: FloatVectorProperty(size=2, description="Position in the image, 0 to 1 from its lower left corner")


class StoredStroke(bpy.types.PropertyGroup):
    """What was drawn on the reference by one press of the mouse, see :mod:`.objects.strokes`."""

    kind: StringProperty(description="OBJECT, GROUND or BOX")
    points: StringProperty(description="JSON of the places in the image, 0 to 1 from its lower left corner")
    radius: FloatProperty(description="Of the brush, as a fraction of the image's longer side")


class ObjectProperties(bpy.types.PropertyGroup):
    """What is stored on an object about its textures."""

    id: StringProperty(description="Finds the object again when a result arrives, even if it was renamed")
    reference: PointerProperty(
        type=bpy.types.Image,
        name="Own Reference",
        description="Image that this object's texture is made from, in place of the one for all objects",
        update=_on_reference_change,
    )
    pictures: CollectionProperty(
        type=ReferencePicture, name="Pictures", description="Pictures of the object from other sides"
    )
    active_picture: IntProperty(name="Picture", description="The selected row of the list of pictures")
    takes: CollectionProperty(type=Take)
    pins: CollectionProperty(type=Pin)
    strokes: CollectionProperty(type=StoredStroke)
    mask: PointerProperty(
        type=bpy.types.Image,
        name="Mask",
        description="The mask of the reference that was found before the first stroke",
    )
    mask_reference: PointerProperty(
        type=bpy.types.Image, name="Corrected Reference", description="The image that was drawn on"
    )
    mask_size: IntVectorProperty(size=2, description="Width and height of the image that was drawn on")
    region: PointerProperty(
        type=bpy.types.Image,
        name="Region",
        description="Mask for Repaint Region: everything that is not black is repainted",
    )
    region_layer: StringProperty(description="The UV map that the mask uses")
    slots: CollectionProperty(type=SavedSlot)
    uv_map_before: StringProperty(description="The mesh's active UV map before the first take")
    render_uv_map_before: StringProperty(description="The UV map to render before the first take")
    owns_slot: BoolProperty(description="The mesh had no material slot before the first take")
    last: StringProperty(description="JSON of the settings of the last job for this object")
    pending: StringProperty(description="JSON of the job that this object waits for")


_CLASSES = (ReferencePicture, SceneProperties, SavedSlot, Take, Pin, StoredStroke, ObjectProperties)


def register() -> None:
    for cls in _CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.orbit_texture = PointerProperty(type=SceneProperties)
    bpy.types.Object.orbit_texture = PointerProperty(type=ObjectProperties)


def unregister() -> None:
    del bpy.types.Object.orbit_texture
    del bpy.types.Scene.orbit_texture
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
