"""Registering the reference with the mesh: which pixels show the object, and from which camera.

1. ``search.py``: compares the mesh's outline from a sphere of directions with the object's on small images;
   the best directions are refined by least squares over seven camera parameters.
2. ``outline.py``: outlines as signed distance fields, and the angular uncertainty that remains when two of
   them do not match.
3. ``feature_edges.py``: compares the mesh's feature edges (creases, occluding contours) with the image's
   edges.
4. ``ranking.py``: chooses among views with equally good outlines, and says how confident that is.
"""
