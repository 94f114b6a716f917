"""The two texts, embedded once: they never change, so that the text encoder (11 GB) is not needed when
painting."""

from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase, UMT5EncoderModel

from ...api.errors import InvalidWeights
from ...store import convert_write_errors
from ...tensors import save

LENGTH = 512
"""Tokens that the networks see of a text; those beyond its end are zero, and are seen too."""

WANTED = "This is a 3D model"
"""The prompt that the weights were trained with."""


def load_encoder(folder: Path, tokenizer: Path) -> tuple[UMT5EncoderModel, PreTrainedTokenizerBase]:
    """The text encoder and its tokenizer, from the folders ``text_encoder`` and ``tokenizer`` of a Wan model
    for diffusers.

    Raises:
        InvalidWeights: they cannot be read from there, or not whole.
    """
    try:
        encoder, report = UMT5EncoderModel.from_pretrained(
            folder,
            torch_dtype=torch.bfloat16,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
        words = AutoTokenizer.from_pretrained(tokenizer, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InvalidWeights(
            f"{folder} and {tokenizer} hold no text encoder and tokenizer that can be read ({error})."
        ) from error
    # Both names stand for one table.
    if missing := sorted(set(report["missing_keys"]) - {"encoder.embed_tokens.weight", "shared.weight"}):
        raise InvalidWeights(
            f"{folder}: the tensor '{missing[0]}' is missing. The download is incomplete, or of another "
            "model."
        )
    return encoder.eval(), words


@torch.no_grad()
def embed(encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, text: str) -> torch.Tensor:
    """(512, C) float32: what the encoder makes of a text, zero beyond its end."""
    words = tokenizer(
        " ".join(text.split()), padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt"
    )
    embedded = encoder(words.input_ids, attention_mask=words.attention_mask).last_hidden_state[0].float()
    return embedded * words.attention_mask[0, :, None]


def write(encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, unwanted: str, file: Path) -> None:
    """Writes the file that :func:`backend.paint.orbitpainter.model.embedded` reads; raises
    :class:`StorageError` if it cannot."""
    with convert_write_errors(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        save(
            {"wanted": embed(encoder, tokenizer, WANTED), "unwanted": embed(encoder, tokenizer, unwanted)},
            file,
        )
