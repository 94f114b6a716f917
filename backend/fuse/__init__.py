"""The texture that frames agree on.

1. ``observations.py``: what every pixel of every view reads of the UV atlas.
2. ``solve.py``: blends of the pixels, and the texture whose renderings match them in least squares.
"""
