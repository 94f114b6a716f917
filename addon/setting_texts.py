"""The settings in the words of the panel: what each one does, and what its choices are called and mean. The
names of the properties, which scripts use, are those of :class:`Settings`."""

from dataclasses import fields

from ..backend.api.settings import Settings

DESCRIPTIONS = {
    "painter": "What makes the texture",
    "quality": "How thoroughly OrbitPainter paints",
    "view_transform": "The colours that OrbitPainter sees. They are turned back in what it paints",
    "white_balance": "Whether a colour cast is removed from the reference",
    "light": "What becomes of light and shadow in the reference",
    "start_from": "What is kept where the reference does not show the object",
    "present_weight": "How much of the present texture is kept there: 0 is nothing, 1 is all",
    "texture_size": "Width and height of the texture in pixels. Large ones take more memory",
    "voxel_resolution": "How finely the choice between the painted views may change over the surface",
    "refine": (
        "Let TRELLIS.2 repair what the views show badly, fill what no view shows, and add metallic, "
        "roughness and alpha. Needs its weights"
    ),
    "refine_strength": "How much TRELLIS.2 may change the texture: 0 is nothing, 1 is everything",
    "refine_steps": "Steps that TRELLIS.2 takes. More take longer",
    "refine_resolution": "How fine the grid is on which TRELLIS.2 works, along the mesh's longest side",
    "refine_views": "Images that TRELLIS.2 follows: the reference, then painted views of other sides",
    "seed": "Another number gives another texture; the same number gives the same again",
    "azimuth": "Degrees around the object, counter-clockwise seen from above. 0 is its front (-Y)",
    "elevation": "Degrees above the horizon from which the reference shows the object",
}
"""What a setting does, by its name: tooltips."""

CHOICES = {
    "painter": {
        "draft": (
            "Draft",
            "Lay the reference on the mesh and continue it over the rest. Needs no AI model or graphics card",
        ),
        "orbitpainter": (
            "OrbitPainter",
            "An AI model paints all sides as the reference shows one. Needs its weights and a graphics card",
        ),
        "trellis2": (
            "TRELLIS.2",
            "An AI model makes the texture in space, without painting views. Needs its weights",
        ),
    },
    "quality": {
        "quality": ("Quality", "All steps, as published"),
        "balanced": ("Balanced", "Skip steps that change little: less than half the time"),
        "fast": ("Fast", "Four steps: a twenty-fifth of the time"),
    },
    "view_transform": {
        "agx": ("AgX", "As in the videos that OrbitPainter has learned from"),
        "none": ("None", "The colours of the reference as they are"),
    },
    "white_balance": {
        "off": ("Off", "Take the colours of the reference as they are"),
        "auto": (
            "Automatic",
            "Remove a colour cast if the backdrop and grey parts of the object have the same slight one",
        ),
        "on": (
            "On",
            "Remove the backdrop's cast; without a backdrop, half of what the object suggests",
        ),
    },
    "light": {
        "automatic": (
            "Automatic",
            "Show the reference as it is, and paint what it does not show without light and shadow",
        ),
        "remove": ("Remove", "Remove light and shadow from what the reference shows, too"),
        "keep": ("Keep", "Take light and shadow for paint"),
    },
    "start_from": {
        "nothing": ("Nothing", "Make the whole texture from the reference"),
        "present": (
            "The Present Texture",
            "Keep the colours that the object has now where the reference does not show it",
        ),
    },
    "texture_size": {
        1024: ("1k", "1024 pixels"),
        2048: ("2k", "2048 pixels"),
        4096: ("4k", "4096 pixels"),
        8192: ("8k", "8192 pixels"),
    },
    "voxel_resolution": {128: ("128", "Coarse"), 256: ("256", "Medium"), 512: ("512", "Fine")},
    "refine_resolution": {512: ("512", "Faster"), 1024: ("1024", "Finer")},
}
"""The label and the tooltip of each choice of a setting, by its value."""

_SETTINGS = {entry.name: entry for entry in fields(Settings)}


def list_choices(setting: str) -> list[tuple[str, str, str]]:
    """The items of an enum property for a setting, in the order of its choices."""
    texts = CHOICES[setting]
    return [(str(value), *texts[value]) for value in _SETTINGS[setting].metadata["choices"]]
