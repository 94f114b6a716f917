"""The queue without a window: for scripts, batches and the command line.

1. ``rules.py``: which reference and which settings each object gets.
2. ``texturing.py``: a plain loop over the queue.
3. ``batch.py``: a manifest of jobs over many .blend files.
4. ``command.py``: Blender's command line.
5. ``contact_sheet.py``: a page that shows what was made.
"""

from .texturing import texture

__all__ = ["texture"]
