"""Painters: who makes RGB frames for the views from the reference image."""
