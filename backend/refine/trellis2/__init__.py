"""TRELLIS.2's texture model in plain PyTorch (Xiang et al. 2025; specs: trellis2)."""
