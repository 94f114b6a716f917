"""The settings of one job: the only place where options, their ranges and defaults are defined.

The panel, the command line and the protocol are generated from :class:`Settings` or checked against it.
"""

import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .errors import InvalidSettings

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")

IRRELEVANT_SETTINGS = ("device", "on_doubt")
"""Settings that a result does not depend on."""


def _setting(
    default: Any, doc: str, *, choices: tuple = (), minimum: float | None = None, maximum: float | None = None
):
    return field(
        default=default, metadata={"doc": doc, "choices": choices, "minimum": minimum, "maximum": maximum}
    )


@dataclass(frozen=True)
class Settings:
    """How to texture one mesh."""

    painter: str = _setting(
        "draft",
        "What paints the views: 'draft' projects the reference image and needs no model; 'orbitpainter' is "
        "the published video model, which needs its weights; 'trellis2' paints no views, and the model of "
        "the refinement creates the texture from the reference image alone",
        choices=("draft", "orbitpainter", "trellis2"),
    )
    quality: str = _setting(
        "quality",
        "How the video model paints: 'quality' as published, 'balanced' in less than half the time, 'fast' "
        "in four steps, which needs an additional LoRA",
        choices=("quality", "balanced", "fast"),
    )
    view_transform: str = _setting(
        "agx",
        "View transform that is applied to the reference image before the video model sees it, and removed "
        "from the frames that it paints: 'agx', which its training videos were rendered with, or 'none'",
        choices=("agx", "none"),
    )
    white_balance: str = _setting(
        "off",
        "Removal of a colour cast from the reference image: 'off'; 'auto', only if a plain backdrop and grey "
        "parts of the object have the same slight cast; 'on', the cast of the backdrop, or without a "
        "backdrop half of the cast that the object's own colours suggest",
        choices=("off", "auto", "on"),
    )
    light: str = _setting(
        "automatic",
        "For the draft: what becomes of the light in the reference image, its shading and shadows. "
        "'automatic' shows the image as it is, and paints what it does not show without light; 'remove' "
        "removes the light from what the image shows, too; 'keep' takes light for paint",
        choices=("automatic", "remove", "keep"),
    )
    start_from: str = _setting(
        "nothing",
        "What the texture starts from: 'nothing', or 'present', the base colour that the mesh has, which is "
        "kept where the reference image does not show it",
        choices=("nothing", "present"),
    )
    present_weight: float = _setting(
        1.0,
        "How much of the present base colour is kept where the reference image does not show the mesh: 0 is "
        "nothing, 1 is all",
        minimum=0.0,
        maximum=1.0,
    )
    texture_size: int = _setting(
        2048, "Width and height of the texture in texels", choices=(1024, 2048, 4096, 8192)
    )
    seed: int = _setting(0, "Seed of all random numbers", minimum=0, maximum=2**31 - 1)
    azimuth: float | None = _setting(
        None,
        "Direction from which the reference image shows the object, in degrees counter-clockwise from its "
        "front (-Y); found automatically if not given",
        minimum=-360.0,
        maximum=360.0,
    )
    elevation: float | None = _setting(
        None,
        "Height from which the reference image shows the object, in degrees above the horizon; found "
        "automatically if not given",
        minimum=-90.0,
        maximum=90.0,
    )
    on_doubt: str = _setting(
        "go",
        "What happens if the view of the reference image is doubtful: 'go' textures with the likeliest one, "
        "'stop' ends the job before anything is painted",
        choices=("go", "stop"),
    )
    refine: bool = _setting(
        False,
        "Refine the texture with TRELLIS.2: repair what the views show badly, fill what no view shows, and "
        "add metallic, roughness and alpha; needs its weights",
    )
    refine_strength: float = _setting(
        0.3,
        "How much the refinement may change the texture: 0 is nothing, 1 is everything",
        minimum=0.0,
        maximum=1.0,
    )
    refine_steps: int = _setting(
        6,
        "Sampling steps of the refinement; doubled if TRELLIS.2 creates the texture alone",
        minimum=1,
        maximum=50,
    )
    refine_resolution: int = _setting(
        512, "Resolution of the refinement, in voxels along the longest side of the mesh", choices=(512, 1024)
    )
    refine_views: int = _setting(
        1,
        "Number of images that the refinement follows: the reference image, then painted views of other "
        "sides",
        minimum=1,
        maximum=4,
    )
    device: str = _setting(
        "auto",
        "Device that the models run on: 'auto' for the first NVIDIA or AMD graphics card, or the processor "
        "if there is none; 'cpu', 'cuda:0', 'cuda:1' … as listed by the doctor",
    )
    voxel_resolution: int = _setting(
        256,
        "Resolution at which a view is chosen for each point, in voxels along the longest side of the mesh",
        choices=(128, 256, 512),
    )

    def __post_init__(self):
        for entry in fields(self):
            _check(entry.name, getattr(self, entry.name), entry)
        if not _DEVICE.fullmatch(self.device):
            raise InvalidSettings(
                f"The setting 'device' must be auto, cpu, mps, or cuda:0, cuda:1 …, not '{self.device}'."
            )
        if (self.azimuth is None) != (self.elevation is None):
            raise InvalidSettings("Give both azimuth and elevation, or neither.")

    def to_dict(self) -> dict:
        return asdict(self)

    def relevant(self) -> dict:
        """The values of the settings that a result depends on: all but :data:`IRRELEVANT_SETTINGS`."""
        return {name: value for name, value in asdict(self).items() if name not in IRRELEVANT_SETTINGS}

    @property
    def paints_views(self) -> bool:
        """Whether views are painted and baked. If not, the refinement creates the texture from the reference
        alone."""
        return self.painter != "trellis2"

    @property
    def refines(self) -> bool:
        """Whether the refinement runs, after the bake or alone."""
        return self.refine or not self.paints_views

    @property
    def networks(self) -> set[str]:
        """The stages in which a neural network runs."""
        return ({"paint"} if self.painter == "orbitpainter" else set()) | (
            {"refine"} if self.refines else set()
        )

    @classmethod
    def from_dict(cls, data: dict) -> "Settings":
        """Settings from plain data.

        Raises:
            InvalidSettings: unknown name, wrong type or value out of range.
        """
        data = _translate(data)
        if unknown := sorted(set(data) - {entry.name for entry in fields(cls)}):
            known = ", ".join(entry.name for entry in fields(cls))
            raise InvalidSettings(f"There is no setting called '{unknown[0]}'. Settings are: {known}.")
        return cls(**data)


def _translate(data: dict) -> dict:
    """Settings as takes and jobs of earlier versions store them, in today's names: the number
    ``remove_shading`` was the light."""
    rest = {name: value for name, value in data.items() if name != "remove_shading"}
    if len(rest) == len(data):
        return data
    return {"light": "remove" if data["remove_shading"] else "keep"} | rest


_TYPE_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
"""The types of settings, in the words of error messages."""


def _check(name: str, value: Any, entry) -> None:
    """Raises :class:`InvalidSettings` unless a value has the type, and lies in the range, of its field."""
    limits = entry.metadata
    optional = entry.default is None
    kind = float if optional else type(entry.default)
    if optional and value is None:
        return
    accepted = (int, float) if kind is float else (kind,)
    if isinstance(value, bool) != (kind is bool) or not isinstance(value, accepted) or value != value:
        raise InvalidSettings(f"The setting '{name}' must be {_TYPE_NAMES[kind]}, not {value!r}.")
    if limits["choices"] and value not in limits["choices"]:
        raise InvalidSettings(
            f"The setting '{name}' must be one of {', '.join(map(str, limits['choices']))}, not {value!r}."
        )
    low, high = limits["minimum"], limits["maximum"]
    if (low is not None and value < low) or (high is not None and value > high):
        raise InvalidSettings(f"The setting '{name}' must lie between {low:g} and {high:g}, not {value!r}.")
