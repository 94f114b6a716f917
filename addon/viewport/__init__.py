"""What viewports draw, and which view of an object the reference shows. Nothing here is stored in the .blend.

Drawing:

- ``shaders.py`` compiles our shaders, and draws shapes of one colour.
- ``surface_shader.py`` draws images over an object's surface. ``confidence_overlay.py`` and
  ``compare_overlay.py`` use it.
- ``image_overlay.py`` draws a flat image, and ``image_placement.py`` computes where it covers a mesh.
- ``redraw.py`` asks Blender to redraw.

The view of the reference:

- ``reference_view.py`` takes it from a viewport, the camera, the settings or the pins.
- ``pins.py`` fits it to points that were clicked on the mesh and in the image.
- ``projection_camera.py`` makes matrices of the camera that a job has found.
"""
