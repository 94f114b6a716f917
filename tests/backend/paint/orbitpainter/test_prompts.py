"""The read_prompts texts, made by a tiny random text encoder of the right kind."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from backend.__main__ import main
from backend.api.errors import InvalidWeights
from backend.paint.orbitpainter import prompts
from backend.paint.orbitpainter.model import read_prompts
from tests import tiny_model


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folders of an encoder and of its tokenizer."""
    folder = tiny_model.write_text_encoder(tmp_path_factory.mktemp("text"), width=16)
    return folder / "text_encoder", folder / "tokenizer"


def test_an_embedded_prompt_has_512_rows_and_zeros_beyond_its_end(folders):
    encoder, tokenizer = prompts.load_encoder(*folders)
    text = prompts.embed_prompt(encoder, tokenizer, prompts.POSITIVE_PROMPT)
    assert text.shape == (512, 16)
    assert (text[:5].abs().sum(dim=1) > 0).all()
    assert (text[5:] == 0).all()
    alone = encoder(torch.tensor([[3, 4, 5, 6, 7]])).last_hidden_state[0].float()
    torch.testing.assert_close(text[:5], alone, atol=0.02, rtol=0)
    assert torch.equal(text, prompts.embed_prompt(encoder, tokenizer, "  This is  a\n3D model "))
    assert prompts.embed_prompt(encoder, tokenizer, "dark " * 600).abs().sum(dim=1).min() > 0


def test_the_embed_command_writes_the_file_that_the_painter_reads(folders, tmp_path, monkeypatch):
    (tmp_path / "unwanted.txt").write_text("blurred dark")
    monkeypatch.setattr(
        "sys.argv",
        [
            "backend",
            "embed",
            "--text-encoder",
            str(folders[0]),
            "--tokenizer",
            str(folders[1]),
            "--unwanted",
            str(tmp_path / "unwanted.txt"),
            "-o",
            str(tmp_path / "out" / "prompts.safetensors"),
        ],
    )
    assert main() == 0
    embedded = read_prompts(tmp_path / "out" / "prompts.safetensors")
    encoder, tokenizer = prompts.load_encoder(*folders)
    assert torch.equal(
        embedded.positive[0], prompts.embed_prompt(encoder, tokenizer, prompts.POSITIVE_PROMPT)
    )
    assert torch.equal(embedded.negative[0], prompts.embed_prompt(encoder, tokenizer, "blurred dark"))


def test_a_folder_without_a_text_encoder_is_reported(folders, tmp_path):
    with pytest.raises(InvalidWeights, match="hold no text encoder"):
        prompts.load_encoder(tmp_path, folders[1])


def test_a_text_encoder_that_lacks_a_tensor_is_reported_with_it(folders, tmp_path):
    shutil.copytree(folders[0], tmp_path / "text_encoder")
    [file] = (tmp_path / "text_encoder").glob("*.safetensors")
    lost = "encoder.block.1.layer.0.SelfAttention.q.weight"
    save_file(
        {name: tensor for name, tensor in load_file(file).items() if name != lost},
        file,
        metadata={"format": "pt"},
    )
    with pytest.raises(InvalidWeights, match=f"text_encoder: the tensor '{lost}' is missing"):
        prompts.load_encoder(tmp_path / "text_encoder", folders[1])
