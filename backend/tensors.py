"""Safetensors files of weights, whose tensors' names, shapes and dtypes are checked before any is read."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from .api.errors import InvalidWeights

_FLOATS = {"BF16", "F16", "F32"}


class Tensors:
    """The tensors of safetensors files, read one at a time.

    Args:
        files: which together hold one state dict.

    Raises:
        InvalidWeights: a file is missing or damaged, or two hold the same tensor.
    """

    def __init__(self, files: Sequence[Path]):
        self.files, self.shapes = files, {}
        self._file_of: dict[str, Path] = {}
        for file in files:
            for name, shape, kind in _list_tensors(file):
                if kind not in _FLOATS:
                    raise InvalidWeights(
                        f"{file}: the tensor '{name}' has the type {kind}, but the weights are "
                        "floating-point numbers."
                    )
                if name in self._file_of:
                    raise InvalidWeights(
                        f"{file}: the tensor '{name}' is in {self._file_of[name].name} too. Give the files "
                        "of one model."
                    )
                self.shapes[name], self._file_of[name] = shape, file

    @property
    def title(self) -> str:
        """The files' names, for an error message."""
        return ", ".join(str(file) for file in self.files)

    def read(self, name: str) -> torch.Tensor:
        """A tensor as float32."""
        with safe_open(self._file_of[name], "pt") as file:
            return file.get_tensor(name).float()

    def all(self) -> dict[str, torch.Tensor]:
        """Every tensor as it is stored."""
        return {name: tensor for file in self.files for name, tensor in load_file(file).items()}

    def expect(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Checks that the files hold exactly these tensors.

        Raises:
            InvalidWeights: names the first tensor that is missing, unknown or of another shape.
        """
        for name, shape in shapes.items():
            if name not in self.shapes:
                raise InvalidWeights(
                    f"{self.title}: the tensor '{name}' is missing. The download is incomplete, or of "
                    "another model."
                )
            if self.shapes[name] != shape:
                raise InvalidWeights(
                    f"{self.title}: the tensor '{name}' has the shape {self.shapes[name]} instead of "
                    f"{shape}. It belongs to another model."
                )
        if unknown := sorted(set(self.shapes) - set(shapes)):
            more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
            raise InvalidWeights(
                f"{self.title}: the tensor '{unknown[0]}'{more} is unknown to this version of Orbit Texture. "
                "It belongs to another model, or to a newer one."
            )


def shards(path: Path) -> list[Path]:
    """The file itself, or the safetensors files of a folder.

    Raises:
        InvalidWeights: the folder holds none.
    """
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if not files:
        raise InvalidWeights(
            f"{path} holds no .safetensors file. Choose the file itself, or the folder that holds its parts."
        )
    return files


def save(tensors: dict[str, torch.Tensor], file: Path) -> None:
    """Writes a file with the metadata ``format: pt``, which diffusers and transformers require.

    Raises:
        OSError: it cannot be written.
    """
    try:
        save_file(tensors, file, metadata={"format": "pt"})
    except SafetensorError as error:
        # The library gives the operating system's error number only in its message.
        if number := re.search(r"os error (\d+)", str(error)):
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(file)) from error
        raise


def _list_tensors(file: Path) -> list[tuple[str, tuple[int, ...], str]]:
    """Name, shape and dtype of every tensor of a file."""
    try:
        with safe_open(file, "pt") as tensors:
            slices = {name: tensors.get_slice(name) for name in tensors.keys()}  # noqa: SIM118
            return [(name, tuple(found.get_shape()), found.get_dtype()) for name, found in slices.items()]
    except FileNotFoundError:
        raise InvalidWeights(
            f"{file} is missing. Download the weights again, or choose the folder that holds them."
        ) from None
    except (SafetensorError, OSError) as error:
        raise InvalidWeights(
            f"{file} is not a whole safetensors file ({error}). Delete it and download it again."
        ) from error
