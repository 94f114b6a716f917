"""Painters make the RGB frames of a job's views from its reference image.

1. ``reference.py``: decode the reference image.
2. ``balance.py``: remove its colour cast (``backdrop.py`` finds a smooth backdrop).
3. ``foreground.py``: segment the object (``mask_doubts.py``: what may be wrong with its mask);
   ``matting.py``, ``segmentation.py``: the same by a model, if there is one; ``mask_correction.py``:
   follow what a user draws on it; ``camera`` finds the camera.
4. ``painter.py``: the interface of a painter; ``registry.py`` loads one by its name, ``draft`` or
   ``orbitpainter``.
5. ``color_source.py``: where the colours are from: the picture, its mirror image, or neither.
6. ``preview.py``: small images of the frames while they are painted; ``outline_image.py``: one of
   the object that was found.
"""
