"""OrbitPainter, the published video model that paints the two orbits of an untextured mesh after a reference
(Ink3D, section 3.1), in order:

1. ``cameras.py``, ``layouts.py``: the views, and how they are arranged as clips for a video model.
2. ``clips.py``, ``agx.py``: the reference and the position and normal images as the latents of an
   autoencoder.
3. ``memory_plan.py``, ``model.py``, ``device_placement.py``, ``quantization.py``, ``distilled_lora.py``:
   which weights are loaded, and how they fit the GPU.
4. ``network.py``, ``gasa.py``, ``flex_attention.py``: the two experts and the sparse attention between views.
5. ``sampler.py``, ``latent_preview.py``: from noise to latents, shown roughly while it goes on.
6. ``painter.py``: all of it, once per pass of a layout.

``convert.py`` and ``prompts.py`` make the folder of weights; ``cost_model.py`` estimates the time.
"""
