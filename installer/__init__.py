"""The commands of install.py. Standard library only, since they run before anything is installed.

``environment.py`` creates private Python environments. ``backend.py`` installs the backend into one, with the
torch build that ``torch_build.py`` chooses. ``blenders.py`` finds or installs Blender, ``extension.py``
builds the add-on for it. ``suite.py`` runs all tests, ``health.py`` is the doctor.
"""
