"""New UVs.

1. ``chart_growth.py``: charts that bend little grow all over the mesh at once.
2. ``flatten.py``: a chart flattened as rigidly as possible, and whether it lies well.
3. ``charts.py``: first charts, grown again smaller where they do not lie well.
4. ``join.py``: charts joined while their union still lies flat.
5. ``pack.py``: flat charts packed into the unit square.

``unwrap.py`` runs them in order; ``config.py`` holds what they are tuned by.
"""
