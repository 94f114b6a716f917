"""What tiny networks are taught in the tests of training: meshes that wear pictures, and base models that
learn quickly."""

from pathlib import Path

import numpy as np
import torch
import trimesh
from PIL import Image
from safetensors.torch import save_file
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from backend.paint.orbitpainter.sampler import EXPERTS
from tests import mosaic, naive_wan, tiny_model

NETWORK = tiny_model.NETWORK | {"num_attention_heads": 4}
CPU = torch.device("cpu")
COLORS = np.uint8([[220, 60, 40], [60, 190, 70], [50, 80, 210], [230, 200, 60]])


def wearing_from_above(
    shape: trimesh.Trimesh, picture: np.ndarray, tint: list[int] | None = None
) -> trimesh.Trimesh:
    """A shape within -1..1 that wears a picture as seen from above, in the axes of a file: up is +Y, the
    front is +Z."""
    uvs = shape.vertices[:, [0, 2]] / 2 + 0.5
    visual = TextureVisuals(
        uv=uvs, material=PBRMaterial(baseColorTexture=Image.fromarray(picture), baseColorFactor=tint)
    )
    return trimesh.Trimesh(shape.vertices, shape.faces, visual=visual, process=False)


def ball(picture: np.ndarray, tint: list[int] | None = None) -> trimesh.Trimesh:
    return wearing_from_above(trimesh.creation.icosphere(3), picture, tint)


def quarters() -> np.ndarray:
    """A picture (64, 64, 3) uint8 of four squares in four colours."""
    return np.kron(COLORS.reshape(2, 2, 3), np.ones((32, 32, 1), np.uint8))


def envelope() -> np.ndarray:
    """A picture (64, 64, 3) uint8 of four triangles in four colours, that meet in the middle."""
    y, x = np.mgrid[-31.5:32, -31.5:32]
    return COLORS[2 * (x + y > 0) + (x > y)]


def write_asset(file: Path) -> Path:
    """A cube whose sides have four colours; it fills most of the picture, so that an autoencoder of 8 pixels
    shows little of the border."""
    wearing_from_above(trimesh.creation.box((2, 2, 2)), envelope()).export(file)
    return file


def write_folder(folder: Path) -> Path:
    """A converted folder of random networks, whose autoencoder keeps colours, and a file of a base model for
    each expert."""
    tiny_model.write_model(folder, NETWORK, mosaic.autoencoder(), size=32, layout="horizontal")
    for seed, expert in enumerate(EXPERTS):
        save_file(teachable(seed), folder / f"{expert}.safetensors")
    return folder


def teachable(seed: int) -> dict[str, torch.Tensor]:
    """A random base model whose last layer loses no direction and whose blocks do little at first: a hundred
    steps teach it much."""
    tensors = naive_wan.base_tensors(seed, NETWORK)
    for name, tensor in tensors.items():
        if name.startswith(("patch_embedding", "ref_conv")):
            tensor *= 0.1
        elif any(
            part in name
            for part in ("modulation", "time_projection", "time_embedding.2", ".o.weight", "ffn.2.weight")
        ):
            tensor *= 0.3
    torch.nn.init.orthogonal_(tensors["head.head.weight"], generator=torch.Generator().manual_seed(seed))
    tensors["head.head.bias"] *= 0
    return tensors
