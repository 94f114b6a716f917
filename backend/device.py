"""Where networks work."""

import torch


def best_device() -> torch.device:
    """An NVIDIA or AMD GPU, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
