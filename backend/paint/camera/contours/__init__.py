"""Finding the object and the camera of a reference together, by the mesh's contours.

1. ``templates.py``: silhouettes of the mesh from a sphere of directions, as contours and row spans.
2. ``features.py``: the reference as oriented edges that stand out locally, and as maps of what may be object.
3. ``template_search.py``: every template at every scale and place against both (chamfer matching with
   oriented edges, after Liu et al. 2010).
4. ``contour.py`` and ``contour_fit.py``: the best are pulled onto the reference by the edges and colours on
   both sides of their rendered contour and by the mesh's inner edges (region-based pose estimation, after
   Prisacariu and Reid 2012, Stoiber et al. 2022).
5. ``score.py``: how well a rendered view explains the reference; ``confidence.py``: how likely the best one
   is right.
6. ``mask.py``: the object's mask, given the view; ``occluder.py``: what of it something in front covers.
7. ``second_object.py``: whether the reference shows the mesh's shape twice.

``search.py`` runs the steps up to the views, in a window around something small (``search_window.py``).
``rendered_view.py`` is what steps 4 and 5 read of a view, ``histograms.py`` compares colours.
"""
