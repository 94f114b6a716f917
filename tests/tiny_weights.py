"""The files that a download of OrbitPainter fetches, tiny and random, under the published names; run as a
module, it is the command that downloads them.

python -m tests.tiny_weights TARGET ADDRESS [--yes] [--from FOLDER] [--keep-originals]
"""

import argparse
import hashlib
import json
from dataclasses import replace
from pathlib import Path

from backend.api.weights import FOUR_STEPS, NEGATIVE_PROMPT, ORBITPAINTER, Source, WeightsSpec
from tests import naive_wan

PROMPT_TEXT = "blurred dark"

NEGATIVE_PROMPT_FILE = f"a = 'something'\nb = '{PROMPT_TEXT}'\n".encode()

INSTALL_OPTIONS = {
    "text_sha256": hashlib.sha256(PROMPT_TEXT.encode()).hexdigest(),
    **naive_wan.CONVERT_OPTIONS,
}
"""Options of :func:`backend.weights.install.install` for tiny networks."""


def make_spec(address: str) -> WeightsSpec:
    """OrbitPainter's, but for the text, which is at ``address``, and the hashes of the four-step LoRA."""
    [path] = NEGATIVE_PROMPT.files
    text = Source(
        "Wan-Video/Wan2.2",
        {path: len(NEGATIVE_PROMPT_FILE)},
        "apache-2.0",
        "Free.",
        f"{address}/plain/Wan-Video/Wan2.2",
        {path: hashlib.sha256(NEGATIVE_PROMPT_FILE).hexdigest()},
    )
    four_steps = replace(FOUR_STEPS, sha256={})
    others = {FOUR_STEPS.repository: four_steps, NEGATIVE_PROMPT.repository: text}
    return replace(
        ORBITPAINTER,
        components={
            part: tuple((others.get(source.repository, source), path) for source, path in files)
            for part, files in ORBITPAINTER.components.items()
        },
    )


def repositories(scratch: Path) -> dict[str, dict[str, bytes]]:
    """The contents of all files by path, by repository."""
    from safetensors.torch import load_file, save_file

    from tests import tiny_model

    tiny_model.write_model(scratch / "model")
    tiny_model.write_text_encoder(scratch, width=naive_wan.NAIVE_CONFIG["text_dim"])
    (scratch / "model" / "vae").rename(scratch / "vae")
    (scratch / "tokenizer" / "spiece.model").write_bytes(b"not read")
    (scratch / "tokenizer" / "special_tokens_map.json").write_text("{}")
    [whole] = (scratch / "text_encoder").glob("*.safetensors")
    tensors, index = list(load_file(whole).items()), {}
    for number in range(3):
        name = f"model-0000{number + 1}-of-00003.safetensors"
        save_file(dict(tensors[number::3]), scratch / "text_encoder" / name, metadata={"format": "pt"})
        index |= dict.fromkeys(dict(tensors[number::3]), name)
    (scratch / "text_encoder" / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": index})
    )
    tiny_model.write_segmentation(scratch)
    for number, expert in enumerate(("high", "low"), 1):
        save_file(
            naive_wan.base_tensors(number),
            _file(scratch / f"{expert}_noise_model" / "diffusion_pytorch_model.safetensors"),
        )
        save_file(naive_wan.painter_tensors(10 + number), scratch / f"{expert}_noise.safetensors")
        [name] = (path for path in FOUR_STEPS.files if expert in path)
        save_file(naive_wan.four_step_tensors(20 + number), scratch / name)
    hub = {
        source.repository: {path: (scratch / path).read_bytes() for path in source.files}
        for source in ORBITPAINTER.sources
        if not source.address
    }
    return hub | {"Wan-Video/Wan2.2": dict.fromkeys(NEGATIVE_PROMPT.files, NEGATIVE_PROMPT_FILE)}


def _file(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    return path


def main() -> int:
    from backend.api.errors import OrbitError
    from backend.weights.command import download

    parser = argparse.ArgumentParser()
    parser.add_argument("target", type=Path)
    parser.add_argument("address")
    parser.add_argument("--yes", action="store_true")
    parser.add_argument("--from", type=Path, dest="offline")
    parser.add_argument("--keep-originals", action="store_true")
    options = parser.parse_args()
    try:
        done = download(
            make_spec(options.address),
            options.target,
            options.offline,
            options.yes,
            options.keep_originals,
            **INSTALL_OPTIONS,
        )
    except OrbitError as error:
        print(error.message)
        return 2
    return not done


if __name__ == "__main__":
    raise SystemExit(main())
