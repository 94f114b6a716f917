"""New UVs.

1. ``chart_growth.py``: charts that can lie flat grow all over the mesh at once.
2. ``flatten.py``: a chart flattened as rigidly as possible, and how well it lies.
3. ``charts.py``: first charts, grown again smaller where they do not lie well.
4. ``join.py``: charts joined while the whole still lies flat.
5. ``pack.py``: flat charts packed into the unit square.

``unwrap.py`` runs them in order.
"""
