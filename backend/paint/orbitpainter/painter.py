"""OrbitPainter: a video model paints the orbits of the bare mesh after the reference (Ink3D 3.1)."""

import time
from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np
import torch
from diffusers import WanTransformer3DModel
from torch.utils._triton import has_triton

from ...api.errors import OutOfMemory
from ...api.settings import Settings
from ...device import find_device
from ...mesh.surface import Surface
from ...render.camera import Orbit
from ...render.maps import normal_image, position_image
from ...render.rasterize import GBuffer
from ..foreground import cut_out
from ..painter import Keep, Painting, Progress
from ..preview import Show, strip, unseen
from ..reference import Reference
from . import agx, cameras, clips, cost_model, flex_attention, gasa
from .latent_preview import Sketch
from .layouts import PATCH, Pass, latent_frames, passes
from .memory_plan import Rung, rungs
from .model import Card, Model, folder
from .network import LATENT, condition
from .sampler import Sampling, denoise, noise

QUALITY = {
    "quality": Sampling(),
    "balanced": Sampling(steps=30, guided=("high",), skipped_below=0.05),
    "fast": Sampling(steps=4, guidance=1.0, distilled=True),
}
"""How a film is made, by the setting's name."""


class OrbitPainter:
    """Paints with the published model; see :class:`backend.paint.painter.Painter`."""

    def orbits(
        self, surface: Surface, reference: Reference, settings: Settings, progress: Progress
    ) -> list[Orbit]:
        """The views that the weights know."""
        card = Card.read(folder())
        both = cameras.orbits(card.size, card.frames, card.mirror)
        return both[:1] if card.layout == "horizontal" else both

    def paint(
        self,
        surface: Surface,
        buffers: Sequence[GBuffer],
        reference: Reference,
        settings: Settings,
        progress: Progress,
        keep: Keep,
        show: Show,
    ) -> Painting:
        """Every view as the model paints it; each pass is kept as soon as it is done.

        Raises:
            InvalidWeights: the weights are missing or damaged.
            InvalidImage: no object can be told from the background.
        """
        model = Model(folder(), find_device(settings.device), sampling=QUALITY[settings.quality])
        model.check()
        reference = cut_out(model.segmented(reference) if reference.opaque else reference)
        positions = [position_image(buffer) for buffer in buffers]
        normals = [normal_image(buffer, surface) for buffer in buffers]
        needed = passes(model.card.layout, model.card.frames)
        painted: dict[int, np.ndarray] = {}
        spent: list[tuple[float, float]] = []
        for number, one in enumerate(needed):
            told = partial(_told, progress, number, len(needed))
            paint = partial(
                paint_pass, model, one, positions, normals, reference, painted, settings, told, show
            )
            frames = keep(f"pass_{number}", partial(_clocked, model, tokens(model.card, one), paint, spent))
            painted |= {int(view): frame for view, frame in frames.items()}
            show(_base_color(strip([frame for _, frame in sorted(painted.items())]), settings))
        frames = [_base_color(painted[view], settings) for view in range(len(buffers))]
        notes = list(reference.notes)
        if spent:  # and not all read from disk
            expected, taken = (_spoken(sum(seconds)) for seconds in zip(*spent, strict=True))
            peak = max(
                model.rung.card(tokens(model.card, one), model.sampling.skipped_below is not None)
                for one in needed
            )
            room = (
                f", for which {peak:.0f} GB of the card were reckoned" if model.device.type == "cuda" else ""
            )
            notes.append(f"OrbitPainter worked with {model.rung}{room}; expected {expected}, took {taken}.")
        if not model.card.trained:
            notes.append("OrbitPainter's weights are random: the colours mean nothing.")
        return Painting(frames, np.ones(len(frames), np.float32), notes=tuple(notes))


def tokens(card: Card, one: Pass) -> int:
    """How many tokens the network works on at once in a pass, the reference's among them."""
    frames = 1 + sum(latent_frames(len(film)) for film in one.films)
    return frames * len(one.films[0][0]) * (card.size // PATCH) ** 2


def smaller_until_it_fits(
    paint: Callable[[], dict[int, np.ndarray]], model: Model, choice: Sequence[Rung]
) -> dict[int, np.ndarray]:
    """What ``paint`` returns with the model on the first of the rungs on which its work fits the card.

    Raises:
        OutOfMemory: it fits on none.
    """
    for rung in choice:
        model.rest()
        model.rung = rung
        try:
            return paint()
        except torch.OutOfMemoryError:
            continue
    raise OutOfMemory(
        "The card has too little memory for OrbitPainter, even with 4-bit weights that are streamed block by "
        "block. Close other programs that use it, or paint with Draft."
    )


def paint_pass(
    model: Model,
    one: Pass,
    positions: Sequence[np.ndarray],
    normals: Sequence[np.ndarray],
    reference: Reference,
    painted: dict[int, np.ndarray],
    settings: Settings,
    progress: Progress,
    show: Show = unseen,
) -> dict[int, np.ndarray]:
    """The pictures (H, W, 3) uint8 by view that one run of the network gives.

    Args:
        model: its networks.
        one: which films.
        positions, normals: the conditions of all views, (H, W, 3) uint8.
        reference: with its foreground.
        painted: what earlier passes gave.
        settings: of the job.
        progress: told the fraction done.
        show: shown at every step, roughly, what the film is going to be.
    """
    shown = clips.framed(reference, model.card.size, len(one.films[0][0]), settings.view_transform == "agx")
    with torch.no_grad():
        vae = model.autoencoder()
        position, normal = (clips.encoded(vae, images, one.films) for images in (positions, normals))
        still = clips.encoded(vae, [shown], [[(0,)]])
        first = None if one.follows is None else clips.encoded(vae, [painted[one.follows]], [[(0,)]])
        del vae
        sketch = Sketch.learned([(position, positions), (normal, normals)], one.films)

        def look(latents: torch.Tensor) -> None:
            show(_base_color(strip(sketch.pictures(latents)), settings))

        progress(0.05)
        start = noise((1, LATENT, *position.shape[2:]), settings.seed).to(model.device)
        expert = partial(
            _aimed, model, cache(partial(_near, model, positions, one)), shown.size // (3 * PATCH**2)
        )
        latents = denoise(
            expert,
            start,
            condition(position, normal, still),
            model.prompts(),
            model.sampling,
            lambda fraction: progress(0.05 + 0.85 * fraction),
            first,
            look,
        )
        model.rest()
        return clips.decoded(model.autoencoder(), latents, one.films)


def _base_color(frame: np.ndarray, settings: Settings) -> np.ndarray:
    """(..., 3) uint8 sRGB of a frame, or several, as the model paints them."""
    return (
        np.round(255 * agx.decode(frame / np.float32(255))).astype(np.uint8)
        if settings.view_transform == "agx"
        else frame
    )


def _aimed(
    model: Model, near: Callable[[], gasa.Neighbours], reference: int, name: str
) -> WanTransformer3DModel:
    """An expert, ready for the film of which ``near`` tells the neighbours."""
    network = model.expert(name)
    if gasa.branched(network):
        gasa.aim(network, near(), reference)
    return network


def _near(model: Model, positions: Sequence[np.ndarray], one: Pass) -> gasa.Attends:
    places = gasa.token_places(positions, one.films)
    near = gasa.neighbours(*places)
    return (
        flex_attention.blocks(*places, near, model.device)
        if model.device.type == "cuda" and has_triton()
        else near.to(model.device)
    )


def _clocked(
    model: Model, count: int, paint: Callable[[], dict[int, np.ndarray]], spent: list
) -> dict[str, np.ndarray]:
    """The pictures of a film of so many tokens, named for a file; ``spent`` takes the seconds that were
    expected, and those it took."""
    speed, start = cost_model.speed(model.device), time.monotonic()
    frames = smaller_until_it_fits(paint, model, rungs(model.device, count, model.sampling))
    spent.append(
        (
            cost_model.seconds(model.config(), count, model.sampling, model.rung, speed),
            time.monotonic() - start,
        )
    )
    return {str(view): frame for view, frame in frames.items()}


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _told(progress: Progress, number: int, count: int, fraction: float) -> None:
    progress((number + fraction) / count)
