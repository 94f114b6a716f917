"""What tiny networks are trained on in the tests of training: textured meshes, and base models that learn
quickly."""

from pathlib import Path

import numpy as np
import torch
import trimesh
from PIL import Image
from safetensors.torch import save_file
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from backend.paint.orbitpainter.sampler import EXPERT_NAMES
from tests import mosaic, naive_wan, tiny_model

TRAINED_NETWORK = tiny_model.TINY_NETWORK | {"num_attention_heads": 4}
"""The configuration of the networks that are trained."""

CUBE_COLORS = np.uint8([[220, 60, 40], [60, 190, 70], [50, 80, 210], [230, 200, 60]])
"""(4, 3) sRGB colours of the textures."""


def project_from_above(
    shape: trimesh.Trimesh, texture: np.ndarray, tint: list[int] | None = None
) -> trimesh.Trimesh:
    """A shape within -1..1 with a texture projected from above, in the axes of a file: up is +Y, the front is
    +Z."""
    uvs = shape.vertices[:, [0, 2]] / 2 + 0.5
    visual = TextureVisuals(
        uv=uvs, material=PBRMaterial(baseColorTexture=Image.fromarray(texture), baseColorFactor=tint)
    )
    return trimesh.Trimesh(shape.vertices, shape.faces, visual=visual, process=False)


def ball(texture: np.ndarray, tint: list[int] | None = None) -> trimesh.Trimesh:
    return project_from_above(trimesh.creation.icosphere(3), texture, tint)


def quarters() -> np.ndarray:
    """(64, 64, 3) uint8: four squares in four colours."""
    return np.kron(CUBE_COLORS.reshape(2, 2, 3), np.ones((32, 32, 1), np.uint8))


def envelope() -> np.ndarray:
    """(64, 64, 3) uint8: four triangles in four colours, which meet in the middle."""
    y, x = np.mgrid[-31.5:32, -31.5:32]
    return CUBE_COLORS[2 * (x + y > 0) + (x > y)]


def write_asset(file: Path) -> Path:
    """A cube whose sides have four colours; it fills most of a view, so that an autoencoder of 8 pixels mixes
    little of the background in."""
    project_from_above(trimesh.creation.box((2, 2, 2)), envelope()).export(file)
    return file


def write_folder(folder: Path) -> Path:
    """A converted folder of random networks, whose autoencoder keeps colours, and a file of a base model for
    each expert."""
    tiny_model.write_model(folder, TRAINED_NETWORK, mosaic.autoencoder(), size=32, layout="horizontal")
    for seed, expert in enumerate(EXPERT_NAMES):
        save_file(trainable_base(seed), folder / f"{expert}.safetensors")
    return folder


def trainable_base(seed: int) -> dict[str, torch.Tensor]:
    """The tensors of a random base model whose last layer is orthogonal and whose blocks change little at
    first, so that a hundred steps train it far."""
    tensors = naive_wan.base_tensors(seed, TRAINED_NETWORK)
    for name, tensor in tensors.items():
        if name.startswith(("patch_embedding", "ref_conv")):
            tensor *= 0.1
        elif any(
            key in name
            for key in ("modulation", "time_projection", "time_embedding.2", ".o.weight", "ffn.2.weight")
        ):
            tensor *= 0.3
    torch.nn.init.orthogonal_(tensors["head.head.weight"], generator=torch.Generator().manual_seed(seed))
    tensors["head.head.bias"] *= 0
    return tensors
