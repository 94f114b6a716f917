"""Textured meshes as latents: what OrbitPainter sees of them and what it should paint, encoded once and kept
in a folder."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from safetensors import safe_open

from ..api.errors import InvalidMesh
from ..mesh.files import read_textured
from ..mesh.formats.mesh_file import TexturedMesh
from ..mesh.prepare import clean
from ..mesh.surface import Surface
from ..paint.orbitpainter import agx, cameras, clips
from ..paint.orbitpainter.layouts import plan_passes
from ..paint.orbitpainter.model import Model, ModelCard
from ..paint.orbitpainter.network import pack_condition
from ..parallel import map_parallel
from ..render.camera import Camera
from ..render.gbuffer_images import normal_image, position_image
from ..render.photograph import SurfaceColor, photograph, texture_lookup
from ..render.rasterize import render
from ..store import convert_write_errors
from ..tensors import save
from .references import SAMPLES_PER_AXIS, render_reference

REFERENCES_PER_ASSET = 32
"""References of each asset, drawn once."""

BLACK_LIMIT = 10
"""An asset whose first view is nowhere brighter, of 255, is left out
(docs/models/orbitpainter.md#training-recipe)."""


@dataclass(frozen=True)
class Example:
    """One run of the network on one asset.

    Attributes:
        file: of the asset's latents: ``N.position``, ``N.normal`` and ``N.color`` (1, 16, T, h, w) of every
            pass, ``references`` (R, 16, 1, h, w), all float32.
        number: of the pass, N.
    """

    file: Path
    number: int

    def read(self, random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """``(color, condition)``: latents (1, 16, T, h, w) of the clips to paint, and all that the network
        sees beside the noise, (1, 49, T + 1, h, w), with one of the references."""
        with safe_open(self.file, "pt") as file:
            position, normal, color = (
                file.get_tensor(f"{self.number}.{name}") for name in ("position", "normal", "color")
            )
            references = file.get_slice("references")
            chosen = int(random.integers(references.get_shape()[0]))
            return color, pack_condition(position, normal, references[chosen : chosen + 1])


def prepare_examples(
    assets: Sequence[Path], model: Model, folder: Path, report: Callable[[str], None]
) -> list[Example]:
    """The examples of all assets; those that ``folder`` holds already are not encoded again.

    Args:
        assets: textured mesh files. One that cannot be used is reported and left out.
        model: whose autoencoder encodes, and whose card describes the clips.
        folder: of latents.
        report: receives sentences about what is done.

    Raises:
        InvalidMesh: none can be used.
        StorageError: the folder cannot be written.
    """
    vae, examples = model.load_autoencoder(), []
    for asset in assets:
        try:
            mesh = read_textured(asset)
            file = folder / f"{asset.stem}-{cache_key(mesh, model)}.safetensors"
            if not file.exists():
                report(f"{asset.name} is rendered and encoded.")
                _write(file, encode_asset(asset.name, mesh, vae, model.card))
            passes = plan_passes(model.card.layout, model.card.frames)
            examples += [Example(file, number) for number in range(len(passes))]
        except InvalidMesh as error:
            report(f"Left out: {error.message}")
    if not examples:
        raise InvalidMesh(
            "None of the files can be trained on. Give mesh files with UVs and a base colour texture, GLB or "
            "OBJ."
        )
    return examples


def cache_key(mesh: TexturedMesh, model: Model) -> str:
    """A hash of everything that the latents of a mesh depend on."""
    digest = hashlib.sha256(json.dumps([asdict(model.card), REFERENCES_PER_ASSET]).encode())
    for array in (mesh.mesh.vertices, mesh.mesh.faces, mesh.mesh.uvs, mesh.image_of, *mesh.images):
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array))
    for path in sorted((model.folder / "vae").iterdir()):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


@torch.no_grad()
def encode_asset(
    name: str, mesh: TexturedMesh, vae: AutoencoderKLWan, card: ModelCard
) -> dict[str, torch.Tensor]:
    """The latents of an asset, see :class:`Example`.

    Raises:
        InvalidMesh: its first view is black.
    """
    surface = clean(mesh.mesh.to_mesh_data())
    base_color = texture_lookup(surface.corner_uvs, mesh.images, mesh.image_of[surface.job_faces])

    def color(*where: np.ndarray) -> np.ndarray:
        return 255 * agx.encode(base_color(*where) / np.float32(255))

    # Images of all views.
    orbits = cameras.orbits(card.size, card.frames, card.mirror)
    images = _render_views(surface, color, [camera for orbit in orbits for camera in orbit.cameras])
    if images["color"][0].max() <= BLACK_LIMIT:
        raise InvalidMesh(
            f"{name} is black from the front, so that nothing can be learnt from it. Rotate it, or leave it "
            "out."
        )
    # Clips of every pass.
    passes = plan_passes(card.layout, card.frames)
    tensors = {
        f"{number}.{kind}": clips.encode_clips(vae, images[kind], video_pass.clips)
        for number, video_pass in enumerate(passes)
        for kind in images
    }
    # References, one beside the other where a frame has several views.
    random, copies = np.random.default_rng(0), len(passes[0].clips[0][0])
    references = [
        np.hstack([render_reference(surface, color, card.size, random)] * copies)
        for _ in range(REFERENCES_PER_ASSET)
    ]
    tensors["references"] = torch.cat(
        [clips.encode_clips(vae, [reference], [[(0,)]]) for reference in references]
    )
    return {kind: tensor.cpu().contiguous() for kind, tensor in tensors.items()}


def _render_views(surface: Surface, color: SurfaceColor, views: list[Camera]) -> dict[str, list[np.ndarray]]:
    """Position, normal and colour images (H, W, 3) uint8 of all views."""

    def render_color(camera: Camera) -> np.ndarray:
        return np.round(photograph(surface, color, camera, SAMPLES_PER_AXIS)).astype(np.uint8)

    buffers = render(surface, views)
    return {
        "position": [position_image(buffer) for buffer in buffers],
        "normal": [normal_image(buffer, surface) for buffer in buffers],
        "color": map_parallel(render_color, views),
    }


def _write(file: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Writes a file that appears only when it is complete."""
    part = file.with_suffix(".part")
    try:
        with convert_write_errors(file.parent):
            file.parent.mkdir(parents=True, exist_ok=True)
            save(tensors, part)
            os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)
