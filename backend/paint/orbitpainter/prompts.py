"""The two prompts, embedded once: they never change, so that the text encoder (11 GB) is not needed for
painting."""

from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase, UMT5EncoderModel

from ...api.errors import InvalidWeights
from ...store import convert_write_errors
from ...tensors import save

PROMPT_TOKENS = 512
"""Tokens that the networks see of a prompt; those beyond its end are zero, and are attended to as well."""

POSITIVE_PROMPT = "This is a 3D model"
"""The prompt that the weights were trained with."""


def load_encoder(folder: Path, tokenizer: Path) -> tuple[UMT5EncoderModel, PreTrainedTokenizerBase]:
    """The text encoder and its tokenizer, from the folders ``text_encoder`` and ``tokenizer`` of a Wan model
    for diffusers.

    Raises:
        InvalidWeights: they cannot be read from there, or a tensor is missing.
    """
    try:
        encoder, report = UMT5EncoderModel.from_pretrained(
            folder,
            torch_dtype=torch.bfloat16,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
        loaded_tokenizer = AutoTokenizer.from_pretrained(tokenizer, local_files_only=True)
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
    return encoder.eval(), loaded_tokenizer


@torch.no_grad()
def embed_prompt(encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, text: str) -> torch.Tensor:
    """(512, C) float32: the encoder's embedding of a prompt, zero beyond its end."""
    tokens = tokenizer(
        " ".join(text.split()),
        padding="max_length",
        max_length=PROMPT_TOKENS,
        truncation=True,
        return_tensors="pt",
    )
    embedding = encoder(tokens.input_ids, attention_mask=tokens.attention_mask).last_hidden_state[0].float()
    return embedding * tokens.attention_mask[0, :, None]


def write_prompts(
    encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, negative_prompt: str, file: Path
) -> None:
    """Writes the file that :func:`backend.paint.orbitpainter.model.read_prompts` reads.

    Raises:
        StorageError: the file cannot be written.
    """
    with convert_write_errors(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        save(
            {
                "wanted": embed_prompt(encoder, tokenizer, POSITIVE_PROMPT),
                "unwanted": embed_prompt(encoder, tokenizer, negative_prompt),
            },
            file,
        )
