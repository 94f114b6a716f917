"""Which files a painter needs, how large they are and under which terms: what a user agrees to before anything is downloaded.

Plain data, so that Blender's dialog and the command line show the same. Sizes are approximate: the server tells exact ones before it is
asked for a file. What is pinned here and what at the first download is told in :mod:`backend.weights`.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Source:
    """Files of one repository.

    Attributes:
        repository: its id on the Hugging Face Hub; of an own address, what to call it.
        files: bytes by path, approximately; exactly at an own address.
        license: as the Hub writes it.
        terms: what the licence asks, in a sentence.
        address: where the files are if not on the Hub, with the commit in it; "" for the Hub.
        sha256: hash by path where we know it, which is everywhere at an own address.
    """

    repository: str
    files: dict[str, int]
    license: str
    terms: str
    address: str = ""
    sha256: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files, approximately."""
        return sum(self.files.values())


@dataclass(frozen=True)
class Needs:
    """What one painter needs.

    Attributes:
        painter: as :class:`backend.api.settings.Settings` calls it.
        base: the video model's two experts, which the painter's weights change.
        weights: the painter's own.
        four_steps: the LoRA of the quality 'fast', for both experts.
        segmentation: a network that finds the object in a reference without alpha.
        parts: autoencoder, text encoder and tokenizer of the video model, as diffusers has them.
        text: a file in which the unwanted text stands in quotes.
        text_sha256: hash of that text in UTF-8, by which it is found in the file.
    """

    painter: str
    base: Source
    weights: Source
    parts: Source
    four_steps: Source
    segmentation: Source
    text: Source
    text_sha256: str

    @property
    def sources(self) -> tuple[Source, ...]:
        return self.base, self.weights, self.parts, self.four_steps, self.segmentation, self.text

    @property
    def size(self) -> int:
        """Bytes to download, approximately."""
        return sum(source.size for source in self.sources)


_APACHE = "Apache 2.0: free for any use, also commercial; who passes it on keeps the licence and its notices."

ORBITPAINTER = Needs(
    painter="orbitpainter",
    base=Source("alibaba-pai/Wan2.2-Fun-A14B-Control", {
        "high_noise_model/diffusion_pytorch_model.safetensors": 28_600_000_000,
        "low_noise_model/diffusion_pytorch_model.safetensors": 28_600_000_000}, "apache-2.0", _APACHE),
    weights=Source("Yuehavingfun/orbitpainter-single", {
        "high_noise.safetensors": 310_000_000,
        "low_noise.safetensors": 310_000_000}, "mit",
        "MIT, as the authors' project page says: free for any use, also commercial; who passes it on keeps the notice."),
    parts=Source("Wan-AI/Wan2.2-T2V-A14B-Diffusers", {
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
        "tokenizer/tokenizer_config.json": 61_800}, "apache-2.0", _APACHE),
    four_steps=Source("lightx2v/Wan2.2-Distill-Loras", {
        "wan2.2_t2v_A14b_high_noise_lora_rank64_lightx2v_4step_1217.safetensors": 614_000_000,
        "wan2.2_t2v_A14b_low_noise_lora_rank64_lightx2v_4step_1217.safetensors": 614_000_000}, "apache-2.0", _APACHE, sha256={
        "wan2.2_t2v_A14b_high_noise_lora_rank64_lightx2v_4step_1217.safetensors":
            "89003385f8a9d53ba58fd6ede647fdc90292e8568a54683fcfe6db5556a31769",
        "wan2.2_t2v_A14b_low_noise_lora_rank64_lightx2v_4step_1217.safetensors":
            "4df7c206f3189472da2f92c0a42dcf308f04433d9c14302d08d56e99a3f51322"}),
    segmentation=Source("facebook/sam-vit-base", {
        "config.json": 6_570,
        "model.safetensors": 375_000_000}, "apache-2.0", _APACHE),
    text=Source("Wan-Video/Wan2.2", {"wan/configs/shared_config.py": 945}, "apache-2.0", _APACHE,
                "https://raw.githubusercontent.com/Wan-Video/Wan2.2/42bf4cfaa384bc21833865abc2f9e6c0e67233dc",
                {"wan/configs/shared_config.py": "3ae102e029d4d0e3436ebbaa9f8fd32c10e8468ae8be07facdca2e20ec1858fe"}),
    text_sha256="ce96e0324e4b54ce4b6e867f669ca520952e1a34cc116543516b1897f0d3c47e",
)
"""The text encoder is not needed after the conversion: about 59 GB stay."""

COMMAND = "python -m backend download orbitpainter"
"""What a user runs to get them."""


def gigabytes(size: int) -> str:
    """A size for people."""
    return f"{size / 1e9:.1f} GB" if size >= 5e7 else f"{size / 1e6:.1f} MB" if size >= 5e4 else f"{size / 1e3:.1f} kB"
