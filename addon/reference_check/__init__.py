"""A check of the reference before anything is painted: what the object in it is, and from which view.

1. ``check.py``: one check: what was asked, and what was found.
2. ``checks.py``: all checks of this session; each question is asked once, one at a time.
3. ``automatic.py``: checks when a reference or an object has been chosen.
4. ``projection_overlay.py``: viewports show the object as it wears the reference.
5. ``mask_overlay.py``: the Image Editor shows the mask, and what is drawn to correct it. The strokes are
   stored with the object (``objects/mask_correction.py``).
"""
