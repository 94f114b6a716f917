"""Textured meshes as latents: what OrbitPainter sees of them and what it should paint, encoded once and kept
in a folder."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from safetensors import safe_open

from ..api.errors import InvalidMesh
from ..mesh.files import TexturedMesh, read_textured
from ..mesh.prepare import clean
from ..paint.orbitpainter import agx, cameras, clips
from ..paint.orbitpainter.layouts import passes
from ..paint.orbitpainter.model import Card, Model
from ..paint.orbitpainter.network import condition
from ..render.maps import normal_image, position_image
from ..render.photograph import photograph, wearing
from ..render.rasterize import render
from ..store import convert_write_errors
from ..tensors import save
from .references import SAMPLES, reference

REFERENCES = 32
"""Of each asset, drawn once."""

DARKEST = 10
"""An asset whose first view is nowhere brighter, of 255, teaches nothing (specs: orbitpainter a.9)."""


@dataclass(frozen=True)
class Example:
    """One run of the network on one asset.

    Attributes:
        file: of the asset's latents: ``N.position``, ``N.normal`` and ``N.color`` (1, 16, T, h, w) of every
            run, ``references`` (R, 16, 1, h, w), all float32.
        run: its number N.
    """

    file: Path
    run: int

    def read(self, random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """``(color, condition)``: latents (1, 16, T, h, w) of the film to paint, and all that the network
        sees beside the noise, with one of the references."""
        with safe_open(self.file, "pt") as file:
            position, normal, color = (
                file.get_tensor(f"{self.run}.{name}") for name in ("position", "normal", "color")
            )
            references = file.get_slice("references")
            chosen = int(random.integers(references.get_shape()[0]))
            return color, condition(position, normal, references[chosen : chosen + 1])


def examples(
    assets: Sequence[Path], model: Model, folder: Path, tell: Callable[[str], None]
) -> list[Example]:
    """The examples of all assets; those that ``folder`` holds already are not made again.

    Args:
        assets: textured mesh files. One that cannot be used is left out, with a sentence.
        model: whose autoencoder encodes, and whose card says what the films are like.
        folder: of latents.
        tell: told what is done, in sentences.

    Raises:
        InvalidMesh: none can be used.
        StorageError: the folder cannot be written.
    """
    vae, found = model.autoencoder(), []
    for asset in assets:
        try:
            mesh = read_textured(asset)
            file = folder / f"{asset.stem}-{key(mesh, model)}.safetensors"
            if not file.exists():
                tell(f"{asset.name} is rendered and encoded.")
                _write(file, encoded(asset.name, mesh, vae, model.card))
            found += [Example(file, run) for run in range(len(passes(model.card.layout, model.card.frames)))]
        except InvalidMesh as error:
            tell(f"Left out: {error.message}")
    if not found:
        raise InvalidMesh(
            "None of the files can be trained on. Give mesh files with UVs and a base colour texture, GLB or "
            "OBJ."
        )
    return found


def key(mesh: TexturedMesh, model: Model) -> str:
    """The same for two meshes exactly if their latents are."""
    digest = hashlib.sha256(json.dumps([asdict(model.card), REFERENCES]).encode())
    for array in (mesh.mesh.vertices, mesh.mesh.faces, mesh.mesh.uvs, mesh.image_of, *mesh.images):
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array))
    for part in sorted((model.folder / "vae").iterdir()):
        with part.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


@torch.no_grad()
def encoded(name: str, mesh: TexturedMesh, vae: AutoencoderKLWan, card: Card) -> dict[str, torch.Tensor]:
    """The latents of an asset, see :class:`Example`.

    Raises:
        InvalidMesh: there is nothing to see of it.
    """
    surface = clean(mesh.mesh.data())
    bare = wearing(surface.corner_uvs, mesh.images, mesh.image_of[surface.source])

    def color(*where: np.ndarray) -> np.ndarray:
        return 255 * agx.encode(bare(*where) / np.float32(255))

    views = [
        camera for orbit in cameras.orbits(card.size, card.frames, card.mirror) for camera in orbit.cameras
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        colors = list(
            pool.map(
                lambda camera: np.round(photograph(surface, color, camera, SAMPLES)).astype(np.uint8), views
            )
        )
    if colors[0].max() <= DARKEST:
        raise InvalidMesh(
            f"{name} is black from the front, so that nothing can be learnt from it. Turn it, or leave it "
            "away."
        )
    buffers = render(surface, views)
    pictures = {
        "position": [position_image(buffer) for buffer in buffers],
        "normal": [normal_image(buffer, surface) for buffer in buffers],
        "color": colors,
    }
    runs, encode = passes(card.layout, card.frames), partial(clips.encoded, vae)
    tensors = {
        f"{number}.{kind}": encode(images, run.films)
        for number, run in enumerate(runs)
        for kind, images in pictures.items()
    }
    random, copies = np.random.default_rng(0), len(runs[0].films[0][0])
    stills = [np.hstack([reference(surface, color, card.size, random)] * copies) for _ in range(REFERENCES)]
    tensors["references"] = torch.cat([encode([still], [[(0,)]]) for still in stills])
    return {kind: tensor.cpu().contiguous() for kind, tensor in tensors.items()}


def _write(file: Path, tensors: dict[str, torch.Tensor]) -> None:
    part = file.with_suffix(".part")
    try:
        with convert_write_errors(file.parent):
            file.parent.mkdir(parents=True, exist_ok=True)
            save(tensors, part)
            os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)
