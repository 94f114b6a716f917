"""An autoencoder whose weights are set by hand, because a random one loses the colours and training one takes
minutes.

A latent holds the mean colour of its 8 x 8 pixels and 4 frames, in the network's own range of -1..1,
repeated: channel k is red, green or blue as k % 3 is 0, 1 or 2. The features of the layers are red, green,
blue, a large constant and their negatives. Compared with the constant, colours are so small that the norms
hardly change them; and silu(x) - silu(-x) is x.
"""

import torch
from diffusers import AutoencoderKLWan

AUTOENCODER_CONFIG = {
    "base_dim": 8,
    "z_dim": 16,
    "dim_mult": [1, 1, 1, 1],
    "num_res_blocks": 1,
    "latents_mean": [0.0] * 16,
    "latents_std": [1.0] * 16,
}
FEATURE_CONSTANT = 50.0
"""The constant among the features."""

RGB_TO_FEATURES = torch.cat([torch.eye(4), torch.diag(torch.tensor([-1.0, -1, -1, 1]))])
"""(8, 4): from red, green, blue and the constant to the features."""

FEATURES_TO_RGB = (
    torch.cat([torch.eye(3), torch.zeros(3, 1), -torch.eye(3), torch.zeros(3, 1)], dim=1)
    * FEATURE_CONSTANT
    / 2
)
"""(3, 8): from the output of the last norm and activation to colours."""

RGB_TO_LATENTS = torch.eye(3)[torch.arange(16) % 3]
"""(16, 3): from colours to latents."""


@torch.no_grad()
def autoencoder() -> AutoencoderKLWan:
    """The autoencoder; see the module."""
    # Residuals are zero; norms keep their scale.
    vae = AutoencoderKLWan(**AUTOENCODER_CONFIG).eval()
    for name, parameter in vae.named_parameters():
        if "gamma" not in name:
            parameter.zero_()
    # Means when the resolution falls, copies when it rises, in space and time.
    for name, layer in vae.named_modules():
        if name.endswith("resample.1"):
            down = layer.stride == (2, 2)
            layer.weight[:, :, *(2 * [slice(0, 2) if down else slice(1, 2)])] = (
                torch.eye(8)[: len(layer.weight)] / (4 if down else 1)
            )[..., None, None]
        elif name.endswith("time_conv") and "encoder" in name:
            layer.weight[:, :, 1:, 0, 0] = 0.5 * torch.eye(8)[..., None]
        elif name.endswith("time_conv"):
            layer.weight[:, :, -1, 0, 0] = torch.cat([torch.eye(8)] * 2)
        elif name.endswith("conv_shortcut") and not isinstance(layer, torch.nn.Identity):
            layer.weight[:, :, 0, 0, 0] = RGB_TO_FEATURES
    # Between colours, features and latents.
    for layer, matrix in (
        (vae.encoder.conv_in, RGB_TO_FEATURES[:, :3]),
        (vae.encoder.conv_out, torch.cat([RGB_TO_LATENTS @ FEATURES_TO_RGB, torch.zeros(16, 8)])),
        (vae.decoder.conv_in, RGB_TO_FEATURES[:, :3] @ torch.linalg.pinv(RGB_TO_LATENTS)),
        (vae.decoder.conv_out, FEATURES_TO_RGB),
    ):
        layer.weight[:, :, -1, 1, 1] = matrix
    for layer in (vae.quant_conv, vae.post_quant_conv):
        layer.weight[:, :, 0, 0, 0] = torch.eye(len(layer.weight))
    for layer in (vae.encoder.conv_in, vae.decoder.conv_in):
        layer.bias.copy_(FEATURE_CONSTANT * RGB_TO_FEATURES[:, 3])
    return vae
