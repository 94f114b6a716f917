"""Finding the camera from which the reference was taken.

1. ``search.py``: a sphere of directions is compared on small outlines; the best are refined by least squares
   over seven camera parameters.
2. ``outline.py``: outlines as points and signed distances, and what is left between two of them.
3. ``feature_edges.py``: the mesh's inner edges (rims, creases, occluding contours) against those of the
   image.
4. ``ranking.py``: which of the views with equally good outlines is taken, and how confident that is.
"""
