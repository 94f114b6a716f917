"""From the caller's triangles to the surface that every later stage works on.

1. ``files.py``: mesh files in and out, for the command line.
2. ``prepare.py``: the first stage: welding, cleaning, normalising to a :class:`.surface.Surface`.
3. ``uvs.py``, ``tiles.py``, ``texels.py``: whether the mesh's own UVs can carry a texture, which texel lies
   on which triangle, and where.
4. ``copies.py``: parts of one shape that share their texels, and are painted side by side.
5. ``unwrap/``: new UVs where they cannot.
6. ``edges.py``, ``parts.py``, ``voxels.py``: half-edges, parts between sharp edges, and a voxel grid of the
   surface.
"""
