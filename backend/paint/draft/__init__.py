"""The painter without weights: finds the reference's view, projects the image, mirrors it if the mesh is symmetric, completes the rest."""
