"""Texturing without a window: for scripts, batches and the command line.

1. ``rules.py``: the reference and the settings of each object.
2. ``texturing.py``: a plain loop over the queue.
3. ``reference_check.py``: finds the object and the view in references, and textures nothing.
4. ``batch.py``: a manifest of jobs over many .blend files.
5. ``command.py``: Blender's command line.
6. ``contact_sheet.py``: a report page with an image of every textured object.
"""

from .texturing import texture

__all__ = ["texture"]
