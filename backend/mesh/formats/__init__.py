"""Mesh file formats.

1. ``mesh_file.py``: a file's mesh as plain data.
2. ``gltf.py``, ``gltf_accessors.py``, ``gltf_material.py``: GLB and glTF files in; ``obj.py``, ``ply.py`` and
   ``stl.py``: the others; ``triangulate.py``: their polygons.
3. ``gltf_writer.py``, ``obj_writer.py``: files out, with a texture.
"""
