"""From the caller's triangles to the surface that every later stage works on."""
