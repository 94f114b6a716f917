"""What is installed, and the installation of what is missing.

``install_process.py`` runs install.py in a separate process; ``doctor.py`` and ``diagnostics.py`` report
what is installed; ``devices.py`` and ``weights.py`` remember the devices and models of this computer.
"""
