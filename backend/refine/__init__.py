"""Refining the baked texture with a generative 3D prior (Ink3D 3.3)."""
