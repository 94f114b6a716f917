"""What is installed, and how it gets there.

``install_process.py`` runs install.py in a process of its own; ``doctor.py`` and ``diagnostics.py`` report
what it found; ``devices.py`` and ``weights.py`` remember what this computer has.
"""
