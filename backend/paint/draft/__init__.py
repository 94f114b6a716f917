"""The painter without weights: finds the view, projects the image, mirrors it where that fits, and paints the rest with pieces of it."""
