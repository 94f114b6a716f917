"""What viewports draw, and the view of an object that the reference shows. Nothing here is stored in the
file.

``surface_shader.py`` draws images over an object's surface: ``confidence_overlay.py`` and
``compare_overlay.py`` use it. ``image_overlay.py`` draws a flat image, and ``image_placement.py`` computes where
it covers a mesh. ``reference_view.py`` and ``pins.py`` find the view that the reference shows.
"""
