"""Several pictures of one object become one source of colour.

1. ``read.py``: the images of a job.
2. ``harmonize.py``: brings registered pictures to one tone, and into register on the surface.
3. ``choice.py``: decides which picture shows each place of the surface, by a graph cut where they contradict.
4. ``picture_set.py``: the two steps together, as painters get them.
5. ``views.py``: the pictures as views for the bake.
"""
