"""TRELLIS.2's texture model in plain PyTorch (Xiang et al. 2025; docs/models/trellis2.md).

1. ``dual_grid.py``: a mesh as voxels with dual vertices, from ``crossings.py`` and ``quadrics.py``.
2. ``sparse.py``: five resolution levels of these voxels, and the operations on their features.
3. ``autoencoder.py``: voxels to latents and back, of the blocks in ``layers.py``.
4. ``image_encoder.py``: an image as tokens.
5. ``flow.py``: the transformer that predicts the velocity of noisy latents, given those tokens.
6. ``sampler.py``: Euler steps along that velocity; ``sdedit.py`` runs everything on one surface.

``model.py`` is the folder of weights, read by ``loading.py``.
"""
