"""Several pictures of one object become one source of colour.

1. ``read.py``: the images of a job.
2. ``register.py``: which of their pixels show the object, and from which camera.
3. ``harmonize.py``: brings registered pictures to one tone, and into register on the surface.
4. ``choice.py``: decides which picture shows each place of the surface, by a graph cut where they contradict.
5. ``picture_set.py``: these two steps together, as painters get them.
6. ``views.py``: the pictures as views for the bake.
"""
