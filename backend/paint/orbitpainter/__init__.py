"""The published video model that paints the two orbits of a bare surface."""
