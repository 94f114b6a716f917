"""The files that each model needs, their sizes and terms: what a user agrees to before anything is
downloaded.

Plain data, so that Blender's dialog and the command line show the same. Sizes are approximate: the server
states exact ones before a file is requested. :mod:`backend.weights` says what is pinned here and what at the
first download.
"""

from dataclasses import dataclass, field
from pathlib import Path

from . import paths
from .shell_commands import install_command


@dataclass(frozen=True)
class Source:
    """Files of one repository.

    Attributes:
        repository: its id on the Hugging Face Hub; for files at an address of their own, a name for them.
        files: bytes by path, approximately; exact if there is an ``address``.
        license: its identifier on the Hub.
        terms: a sentence on what the licence asks.
        address: URL of the files if they are not on the Hub, with the commit in it; "" for the Hub.
        sha256: hash by path, where we pin it, which is always if there is an ``address``.
        gated: a download needs an account on the Hub that has accepted the terms, and its token.
    """

    repository: str
    files: dict[str, int]
    license: str
    terms: str
    address: str = ""
    sha256: dict[str, str] = field(default_factory=dict)
    gated: bool = False

    @property
    def size(self) -> int:
        """Bytes of all files, approximately."""
        return sum(self.files.values())


@dataclass(frozen=True)
class WeightsSpec:
    """The files that one model is made of.

    Attributes:
        name: of its folder, and on the command line.
        title: shown to users.
        purpose: what it is for, in a few words, shown to users.
        components: files and folders of its folder by name, in the order in which they are made; each with
            the sources and paths of the files that it is made of.
        installed_size: bytes of its folder, approximately.
        peak: bytes of disk space needed during the installation, approximately.
    """

    name: str
    title: str
    purpose: str
    components: dict[str, tuple[tuple[Source, str], ...]]
    installed_size: int
    peak: int

    @property
    def sources(self) -> tuple[Source, ...]:
        """All sources, in the order in which they are needed."""
        found = {source.repository: source for files in self.components.values() for source, _ in files}
        return tuple(found.values())

    @property
    def size(self) -> int:
        """Bytes to download, approximately."""
        return sum(source.size for source in self.sources)

    @property
    def command(self) -> str:
        """The command that downloads it."""
        return install_command("download", self.name)


def _files_of(source: Source, *prefixes: str) -> tuple[tuple[Source, str], ...]:
    """The files of a source whose paths begin with one of the prefixes; all if there is none."""
    return tuple((source, path) for path in source.files if not prefixes or path.startswith(prefixes))


_APACHE = "Apache 2.0: free for any use, also commercial; who passes it on keeps the licence and its notices."

WAN_EXPERTS = Source(
    "alibaba-pai/Wan2.2-Fun-A14B-Control",
    {
        "high_noise_model/diffusion_pytorch_model.safetensors": 28_600_000_000,
        "low_noise_model/diffusion_pytorch_model.safetensors": 28_600_000_000,
    },
    "apache-2.0",
    _APACHE,
)
"""The two experts of the video model, which OrbitPainter's LoRA adapts."""

ORBITPAINTER_LORA = Source(
    "Yuehavingfun/orbitpainter-single",
    {"high_noise.safetensors": 310_000_000, "low_noise.safetensors": 310_000_000},
    "mit",
    "MIT, as the authors' project page says: free for any use, also commercial; who passes it on keeps the "
    "notice.",
)
"""OrbitPainter's own LoRA, one for each expert."""

WAN = Source(
    "Wan-AI/Wan2.2-T2V-A14B-Diffusers",
    {
        "vae/config.json": 724,
        "vae/diffusion_pytorch_model.safetensors": 508_000_000,
        "text_encoder/config.json": 855,
        "text_encoder/model-00001-of-00003.safetensors": 4_940_000_000,
        "text_encoder/model-00002-of-00003.safetensors": 4_980_000_000,
        "text_encoder/model-00003-of-00003.safetensors": 1_440_000_000,
        "text_encoder/model.safetensors.index.json": 22_500,
        "tokenizer/special_tokens_map.json": 7_080,
        "tokenizer/spiece.model": 4_550_000,
        "tokenizer/tokenizer.json": 16_800_000,
        "tokenizer/tokenizer_config.json": 61_800,
    },
    "apache-2.0",
    _APACHE,
)
"""Autoencoder, text encoder and tokenizer of the video model, in diffusers' format; the text encoder is
needed for the conversion only."""

FOUR_STEPS = Source(
    "lightx2v/Wan2.2-Distill-Loras",
    {
        "wan2.2_t2v_A14b_high_noise_lora_rank64_lightx2v_4step_1217.safetensors": 614_000_000,
        "wan2.2_t2v_A14b_low_noise_lora_rank64_lightx2v_4step_1217.safetensors": 614_000_000,
    },
    "apache-2.0",
    _APACHE,
    sha256={
        "wan2.2_t2v_A14b_high_noise_lora_rank64_lightx2v_4step_1217.safetensors": "89003385f8a9d53ba58fd6ede647fdc90292e8568a54683fcfe6db5556a31769",  # noqa: E501
        "wan2.2_t2v_A14b_low_noise_lora_rank64_lightx2v_4step_1217.safetensors": "4df7c206f3189472da2f92c0a42dcf308f04433d9c14302d08d56e99a3f51322",  # noqa: E501
    },
)
"""The LoRA of the quality "fast", for both experts."""

SAM = Source(
    "facebook/sam-vit-base", {"config.json": 6_570, "model.safetensors": 375_000_000}, "apache-2.0", _APACHE
)
"""Segment Anything, which proposes a mask for a reference without alpha."""

NEGATIVE_PROMPT = Source(
    "Wan-Video/Wan2.2",
    {"wan/configs/shared_config.py": 945},
    "apache-2.0",
    _APACHE,
    "https://raw.githubusercontent.com/Wan-Video/Wan2.2/42bf4cfaa384bc21833865abc2f9e6c0e67233dc",
    {"wan/configs/shared_config.py": "3ae102e029d4d0e3436ebbaa9f8fd32c10e8468ae8be07facdca2e20ec1858fe"},
)
"""A file that holds the negative prompt, in quotes."""

NEGATIVE_PROMPT_SHA256 = "ce96e0324e4b54ce4b6e867f669ca520952e1a34cc116543516b1897f0d3c47e"
"""Hash of the negative prompt in UTF-8, by which it is found in the file."""

ORBITPAINTER = WeightsSpec(
    "orbitpainter",
    "OrbitPainter",
    "AI painter",
    {
        "prompts.safetensors": _files_of(WAN, "text_encoder/", "tokenizer/") + _files_of(NEGATIVE_PROMPT),
        "vae": _files_of(WAN, "vae/"),
        "segmentation": _files_of(SAM),
        "fast_high.safetensors": _files_of(FOUR_STEPS, "wan2.2_t2v_A14b_high_noise"),
        "fast_low.safetensors": _files_of(FOUR_STEPS, "wan2.2_t2v_A14b_low_noise"),
        "high": _files_of(WAN_EXPERTS, "high") + _files_of(ORBITPAINTER_LORA, "high"),
        "low": _files_of(WAN_EXPERTS, "low") + _files_of(ORBITPAINTER_LORA, "low"),
        "model.json": (),
    },
    installed_size=59_000_000_000,
    peak=90_000_000_000,
)

SEGMENTATION = WeightsSpec(
    "orbitpainter/segmentation",
    "Segment Anything",
    "object masks",
    {"model.safetensors": _files_of(SAM, "model"), "config.json": _files_of(SAM, "config")},
    installed_size=375_000_000,
    peak=750_000_000,
)
"""The same as a part of OrbitPainter's folder: no download of its own, but all painters use it."""

_MIT = "MIT: free for any use, also commercial; who passes it on keeps the notice."

TRELLIS2_FILES = Source(
    "microsoft/TRELLIS.2-4B",
    {
        "texturing_pipeline.json": 5_000,
        "ckpts/shape_enc_next_dc_f16c32_fp16.safetensors": 709_000_000,
        "ckpts/tex_enc_next_dc_f16c32_fp16.safetensors": 709_000_000,
        "ckpts/tex_dec_next_dc_f16c32_fp16.safetensors": 949_000_000,
        "ckpts/slat_flow_imgshape2tex_dit_1_3B_512_bf16.safetensors": 2_620_000_000,
        "ckpts/slat_flow_imgshape2tex_dit_1_3B_1024_bf16.safetensors": 2_620_000_000,
    },
    "mit",
    _MIT,
)
"""The texture model: both encoders, the decoder, the flow for both resolutions, and the statistics of its
latents."""

DINOV3 = Source(
    "facebook/dinov3-vitl16-pretrain-lvd1689m",
    {"config.json": 750, "model.safetensors": 1_213_000_000},
    "other",
    "DINOv3 License: free for any use that it does not forbid, also commercial; who passes it on keeps it. "
    "Its authors want to know who downloads it: accept their terms on its page on huggingface.co with an "
    "account there, and set HF_TOKEN to a token of that account.",
    gated=True,
)
"""The image encoder of the texture model."""

TRELLIS2 = WeightsSpec(
    "trellis2",
    "TRELLIS.2",
    "AI refinement",
    {
        "model.json": _files_of(TRELLIS2_FILES, "texturing_pipeline.json"),
        "dinov3": _files_of(DINOV3),
        "shape_encoder.safetensors": _files_of(TRELLIS2_FILES, "ckpts/shape_enc"),
        "texture_encoder.safetensors": _files_of(TRELLIS2_FILES, "ckpts/tex_enc"),
        "texture_decoder.safetensors": _files_of(TRELLIS2_FILES, "ckpts/tex_dec"),
        "flow_512.safetensors": _files_of(TRELLIS2_FILES, "ckpts/slat_flow_imgshape2tex_dit_1_3B_512"),
        "flow_1024.safetensors": _files_of(TRELLIS2_FILES, "ckpts/slat_flow_imgshape2tex_dit_1_3B_1024"),
    },
    installed_size=8_800_000_000,
    peak=11_400_000_000,
)

BIREFNET_FILE = "birefnet-lite-1024.onnx"

BIREFNET_GRAPH = Source(
    "CoderViking/birefnet-lite-onnx",
    {BIREFNET_FILE: 199_681_624},
    "mit",
    f"{_MIT} Among the images that it was trained on are some (DIS5K) whose terms forbid commercial use; "
    "docs/matting.md says more.",
    sha256={BIREFNET_FILE: "50a57872cc739192446da2a934159f957c81af8b5a161dfda8e3daa51660ca67"},
)
"""The matting model BiRefNet_lite as an ONNX graph whose deformable convolutions are samplings of grids. By
measurements that others published, it takes half the time and a third of the memory of the more common graph
with the same weights (onnx-community/BiRefNet_lite-ONNX)."""

BIREFNET = WeightsSpec(
    "birefnet",
    "BiRefNet",
    "better object masks",
    {"model.onnx": _files_of(BIREFNET_GRAPH)},
    installed_size=200_000_000,
    peak=400_000_000,
)

ISNET_FOLDER = "isnet"
"""Name of the folder of the matting model ISNet, which a user may make. It is no download of ours: its
authors give the weights no licence, and the dataset that they train it on is not for commercial use."""

MODELS = {spec.name: spec for spec in (ORBITPAINTER, TRELLIS2, BIREFNET)}
"""All models that can be downloaded, by name."""


def find_weights(spec: WeightsSpec) -> Path | None:
    """The folder of a model's weights; None if they are not on this computer. It exists only when it is
    complete."""
    folder = paths.models() / spec.name
    return folder if folder.is_dir() else None


def find_matting() -> Path | None:
    """The folder of the matting model to use, BiRefNet's, else ISNet's; None if there is neither."""
    folders = (paths.models() / name for name in (BIREFNET.name, ISNET_FOLDER))
    return next((folder for folder in folders if folder.is_dir()), None)


def list_mask_models() -> list[str]:
    """The names, among the models' folders, of those on this computer that propose masks of the object."""
    found = [find_matting(), find_weights(SEGMENTATION)]
    return [folder.relative_to(paths.models()).as_posix() for folder in found if folder]


def format_size(size: float) -> str:
    """A number of bytes with a unit, for users."""
    if size >= 5e7:
        return f"{size / 1e9:.1f} GB"
    if size >= 5e4:
        return f"{size / 1e6:.1f} MB"
    return f"{size / 1e3:.1f} kB"
