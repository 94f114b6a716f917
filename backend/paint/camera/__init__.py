"""Registering the reference with the mesh: which pixels show the object, and from which camera.

``registration.py`` decides how. A ``View`` (``view.py``) is the camera, and a ``Match`` (``match.py``) says
how well the mesh explains the reference from there. If the reference has a mask, its own or the user's:

1. ``search.py``: compares the mesh's outline from a sphere of directions with the object's on small images;
   the best directions are refined by least squares over seven camera parameters.
2. ``outline.py``: outlines as signed distance fields, and the angular uncertainty that remains when two of
   them do not match.
3. ``feature_edges.py``: compares the mesh's feature edges (creases, occluding contours) with the image's
   edges.
4. ``ranking.py``: chooses among views with equally good outlines, and says how confident that is.

If it has none, the same with the masks of ``../foreground.py`` and ``../matting.py``, if the mesh has their
outlines; else ``contours``: object and camera are found together, since the mesh decides which pixels show
it; ``../segmentation.py`` is then asked where the mesh lies.

``notes.py`` says what may be wrong, and ``candidate_images.py`` draws the likeliest views for the user to
choose from.
"""
