"""What Orbit Texture stores in a .blend: the panel's settings on the scene; identity, reference and takes on
an object."""

from dataclasses import fields

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..backend.api.settings import Settings
from .setup import devices, weights

_SETTINGS = {entry.name: entry for entry in fields(Settings)}


def _choice(setting: str, label: str, names: dict, **more):
    """An enum property with the choices, default and description of a setting."""
    entry = _SETTINGS[setting]
    items = [(str(value), names.get(value, str(value)), "") for value in entry.metadata["choices"]]
    return EnumProperty(
        name=label, description=entry.metadata["doc"], items=items, default=str(entry.default), **more
    )


def _number(setting: str, label: str, kind):
    """A number property with the range, default and description of a setting; 0 where the setting has no
    default."""
    entry = _SETTINGS[setting]
    return kind(
        name=label,
        description=entry.metadata["doc"],
        default=entry.default or 0,
        min=entry.metadata["minimum"],
        max=entry.metadata["maximum"],
    )


def _look_for_weights(settings, context) -> None:
    weights.refresh()
    devices.refresh()


class SceneProperties(bpy.types.PropertyGroup):
    """The panel: which image, how to texture, what Texture Scene works on."""

    image: PointerProperty(
        type=bpy.types.Image, name="Reference", description="Picture that the texture follows"
    )
    painter: _choice(
        "painter",
        "Painter",
        {"draft": "Draft", "orbitpainter": "OrbitPainter", "trellis2": "TRELLIS.2"},
        update=_look_for_weights,
    )
    quality: _choice("quality", "Quality", {"quality": "Quality", "balanced": "Balanced", "fast": "Fast"})
    view_transform: _choice("view_transform", "View Transform", {"agx": "AgX", "none": "None"})
    white_balance: _choice("white_balance", "White Balance", {"off": "Off", "auto": "Automatic", "on": "On"})
    remove_shading: _number("remove_shading", "Remove Shading", FloatProperty)
    texture_size: _choice("texture_size", "Texture Size", {1024: "1k", 2048: "2k", 4096: "4k", 8192: "8k"})
    voxel_resolution: _choice("voxel_resolution", "Voxels", {})
    refine: BoolProperty(
        name="Refine",
        description=_SETTINGS["refine"].metadata["doc"],
        default=_SETTINGS["refine"].default,
        update=_look_for_weights,
    )
    refine_strength: _number("refine_strength", "Strength", FloatProperty)
    refine_steps: _number("refine_steps", "Steps", IntProperty)
    refine_resolution: _choice("refine_resolution", "Voxels", {})
    refine_views: _number("refine_views", "Images", IntProperty)
    seed: _number("seed", "Seed", IntProperty)
    view: EnumProperty(
        name="View",
        description="Where the reference was taken from",
        default="AUTOMATIC",
        items=[
            ("AUTOMATIC", "Automatic", "Find the view from which the mesh looks like the reference"),
            (
                "VIEWPORT",
                "This Viewport",
                "The reference shows the side of the object that this viewport shows",
            ),
            (
                "CAMERA",
                "Active Camera",
                "The reference shows the side of the object that the scene's camera sees",
            ),
            (
                "PINS",
                "Pins",
                "The view from which points of the mesh lie where you have clicked them in the picture",
            ),
            ("GIVEN", "Given", "Use the azimuth and elevation below"),
        ],
    )
    azimuth: _number("azimuth", "Azimuth", FloatProperty)
    elevation: _number("elevation", "Elevation", FloatProperty)
    targets: EnumProperty(
        name="Objects",
        description="Which mesh objects Texture Scene works on",
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
            "Folder with a picture per object, called like the object. Objects without one use the "
            "reference above"
        ),
    )
    rules: StringProperty(
        name="Rules",
        subtype="FILE_PATH",
        description="TOML file that gives some objects a reference, a painter or other settings of their own",
    )

    def to_settings(self) -> Settings:
        given = self.view == "GIVEN"
        return Settings(
            painter=self.painter,
            quality=self.quality,
            view_transform=self.view_transform,
            white_balance=self.white_balance,
            remove_shading=round(self.remove_shading, 6),
            texture_size=int(self.texture_size),
            seed=self.seed,
            voxel_resolution=int(self.voxel_resolution),
            refine=self.refine,
            refine_strength=round(self.refine_strength, 6),  # Blender's are float32
            refine_steps=self.refine_steps,
            refine_resolution=int(self.refine_resolution),
            refine_views=self.refine_views,
            azimuth=self.azimuth if given else None,
            elevation=self.elevation if given else None,
            device=devices.device_setting(),
        )

    def from_settings(self, settings: Settings) -> None:
        """Sets the panel so that :meth:`to_settings` gives these, on the device of the preferences."""
        self.view = "AUTOMATIC" if settings.azimuth is None else "GIVEN"
        self.change(
            {
                name: value
                for name, value in settings.to_dict().items()
                if value is not None and name != "device"
            }
        )

    def change(self, settings: dict) -> None:
        """Sets some settings, by name."""
        for name, value in settings.items():
            is_choice = self.bl_rna.properties[name].type == "ENUM"
            setattr(self, name, str(value) if is_choice else value)


class SavedSlot(bpy.types.PropertyGroup):
    """A material slot as it was before the first take."""

    link: StringProperty()
    material: PointerProperty(type=bpy.types.Material)


class Take(bpy.types.PropertyGroup):
    """One result on an object, kept beside the others. Its name is what the user sees."""

    material: PointerProperty(type=bpy.types.Material)
    uv_layer: StringProperty(description="The UV map that the texture lies on")
    owns_uv_layer: BoolProperty(
        description="The UV map was made for a take and goes with the last take that uses it"
    )
    own_topology: BoolProperty(description="It was made without the modifiers that change the topology")
    layout: StringProperty(description="Fingerprint of the faces and the UV map that the texture lies on")
    locked: BoolProperty(name="Lock", description="Keep this take from being removed")
    job: StringProperty(description="The job that made it")
    settings: StringProperty(description="JSON of the settings it was made with")
    report: StringProperty(description="JSON of the result's report")


class Pin(bpy.types.PropertyGroup):
    """A point of the mesh, and where the reference shows it."""

    point: FloatVectorProperty(size=3, description="In the object's space")
    place: FloatVectorProperty(size=2, description="In the picture, 0 to 1 from its lower left corner")


class ObjectProperties(bpy.types.PropertyGroup):
    """What an object knows about its textures."""

    id: StringProperty(
        description="Finds the object again when a result arrives, whatever it is called by then"
    )
    reference: PointerProperty(
        type=bpy.types.Image,
        name="Own Reference",
        description="Picture that this object's texture follows in Texture Scene",
    )
    takes: CollectionProperty(type=Take)
    pins: CollectionProperty(type=Pin)
    region: PointerProperty(
        type=bpy.types.Image,
        name="Region",
        description="Mask of what Repaint Region paints anew: all but the black",
    )
    region_layer: StringProperty(description="The UV map that the mask lies on")
    slots: CollectionProperty(type=SavedSlot)
    owns_slot: BoolProperty(description="The mesh had no material slot before the first take")
    last: StringProperty(description="JSON of the settings of the last job for this object")
    pending: StringProperty(description="JSON of the job whose result this object waits for")


_CLASSES = (SceneProperties, SavedSlot, Take, Pin, ObjectProperties)


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
