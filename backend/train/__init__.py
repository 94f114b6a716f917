"""Fine-tuning OrbitPainter on textured meshes; see docs/training.md."""
