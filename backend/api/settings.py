"""The settings of one job: the one place where an option, its range and its default are written.

The panel, the command line and the wire are checked against :class:`Settings`.
"""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .errors import InvalidSettings


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
        "Who paints the views: 'draft' projects the reference, without a model; 'orbitpainter' is the "
        "published video model, which needs its weights; 'trellis2' paints no views, but lets the "
        "refinement's model make the texture from the reference alone",
        choices=("draft", "orbitpainter", "trellis2"),
    )
    quality: str = _setting(
        "quality",
        "How a model paints: 'quality' as published, 'balanced' in under half the time, 'fast' in four "
        "steps, which needs a LoRA of its own",
        choices=("quality", "balanced", "fast"),
    )
    view_transform: str = _setting(
        "agx",
        "How the reference is shown to a model, and its frames are turned back: 'agx', Blender's view "
        "transform, as its training's films were, or 'none'",
        choices=("agx", "none"),
    )
    white_balance: str = _setting(
        "off",
        "Whether a colour cast is taken off the reference: 'off'; 'auto' where a plain backdrop and grey "
        "parts of the object have the same slight cast; 'on' by the backdrop, or without one by half of what "
        "the object's own colours say",
        choices=("off", "auto", "on"),
    )
    remove_shading: float = _setting(
        0.0,
        "For the draft: how much of the light that follows the surface's orientation is taken off the "
        "reference: 0 nothing, 1 all that is found",
        minimum=0.0,
        maximum=1.0,
    )
    texture_size: int = _setting(
        2048, "Width and height of the texture in texels", choices=(1024, 2048, 4096, 8192)
    )
    seed: int = _setting(0, "Seed of everything random", minimum=0, maximum=2**31 - 1)
    azimuth: float | None = _setting(
        None,
        "Degrees counter-clockwise from the mesh's front (-Y) to where the reference was taken; found when "
        "not given",
        minimum=-360.0,
        maximum=360.0,
    )
    elevation: float | None = _setting(
        None,
        "Degrees above the horizon from which the reference was taken; found when not given",
        minimum=-90.0,
        maximum=90.0,
    )
    refine: bool = _setting(
        False,
        "Let TRELLIS.2 go over the texture: it mends what the views saw badly, fills what none saw and adds "
        "metallic, roughness and alpha; needs its weights",
    )
    refine_strength: float = _setting(
        0.3,
        "How much of the texture the refinement makes anew: 0 nothing, 1 everything",
        minimum=0.0,
        maximum=1.0,
    )
    refine_steps: int = _setting(
        6,
        "Steps of the refinement; twice as many when TRELLIS.2 makes the texture alone",
        minimum=1,
        maximum=50,
    )
    refine_resolution: int = _setting(
        512, "Voxels along the mesh's longest side, for the refinement", choices=(512, 1024)
    )
    refine_views: int = _setting(
        1,
        "Images that the refinement follows: the reference, then painted views of other sides",
        minimum=1,
        maximum=4,
    )
    device: str = _setting(
        "auto",
        "What a model works on: 'auto' for the first NVIDIA or AMD card, else the processor; 'cpu', "
        "'cuda:0', 'cuda:1' … as the doctor lists them",
    )
    voxel_resolution: int = _setting(
        256, "Voxels along the mesh's longest side, for the choice of views", choices=(128, 256, 512)
    )

    def __post_init__(self):
        for entry in fields(self):
            _check(entry.name, getattr(self, entry.name), entry)
        if (self.azimuth is None) != (self.elevation is None):
            raise InvalidSettings("Give both azimuth and elevation of the reference's view, or neither.")

    def to_dict(self) -> dict:
        return asdict(self)

    @property
    def paints_views(self) -> bool:
        """Whether views are painted and baked. If not, the refinement makes the texture from the reference
        alone."""
        return self.painter != "trellis2"

    @property
    def refines(self) -> bool:
        """Whether the refinement runs, after the bake or alone."""
        return self.refine or not self.paints_views

    @property
    def networks(self) -> set[str]:
        """The stages in which a model runs."""
        return ({"paint"} if self.painter == "orbitpainter" else set()) | (
            {"refine"} if self.refines else set()
        )

    @classmethod
    def from_dict(cls, data: dict) -> "Settings":
        """Settings from plain data.

        Raises:
            InvalidSettings: unknown name, wrong type or value out of range.
        """
        if unknown := sorted(set(data) - {entry.name for entry in fields(cls)}):
            known = ", ".join(entry.name for entry in fields(cls))
            raise InvalidSettings(f"There is no setting called '{unknown[0]}'. Settings are: {known}.")
        return cls(**data)


def _check(name: str, value: Any, entry) -> None:
    limits = entry.metadata
    optional = entry.default is None
    kind = float if optional else type(entry.default)
    if optional and value is None:
        return
    accepted = (int, float) if kind is float else (kind,)
    if isinstance(value, bool) != (kind is bool) or not isinstance(value, accepted) or value != value:
        raise InvalidSettings(
            f"The setting '{name}' must be a {'number' if kind is float else kind.__name__}, not {value!r}."
        )
    if limits["choices"] and value not in limits["choices"]:
        raise InvalidSettings(
            f"The setting '{name}' must be one of {', '.join(map(str, limits['choices']))}, not {value!r}."
        )
    low, high = limits["minimum"], limits["maximum"]
    if (low is not None and value < low) or (high is not None and value > high):
        raise InvalidSettings(f"The setting '{name}' must lie between {low:g} and {high:g}, not {value!r}.")
