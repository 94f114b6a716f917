"""TRELLIS.2's sparse networks in plain PyTorch: voxels to latents and back, and the flow between them (specs: trellis2)."""
