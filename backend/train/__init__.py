"""Fine-tuning OrbitPainter's experts on textured meshes (docs/training.md), in order:

1. ``references.py``, ``examples.py``: meshes are rendered and encoded once as latents.
2. ``expert.py``: an expert whose LoRA and patch embedding are trainable.
3. ``objective.py``: the noise levels and the loss.
4. ``train.py``, ``checkpoints.py``: the steps, and where they continue after an interruption.
"""
