"""From painted frames to a texture: choose a view per voxel, colour every texel, fill what no view saw."""
