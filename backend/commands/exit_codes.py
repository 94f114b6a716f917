"""What ``python -m backend`` returns to the shell, besides 0."""

BAD_INPUT = 2
"""An error of the input; nothing was written."""

DOUBTFUL = 3
"""The view is doubtful and ``--on-doubt stop`` was given; nothing was painted."""

INTERRUPTED = 130
"""Ctrl-C."""
