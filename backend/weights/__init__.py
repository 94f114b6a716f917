"""Models' weights: downloaded after the user has agreed, checked, converted.

1. ``plan.py`` resolves the manifest (``manifest.py``: every file's commit, size and hash) and computes sizes.
2. ``command.py`` (the terminal) or ``job.py`` (Blender) has the user's agreement.
3. ``install.py`` downloads each file by ``fetch.py`` and converts one component after the other by
   ``orbitpainter.py``, ``trellis2.py`` or ``birefnet.py``.

Pinned by us, in :mod:`backend.api.weights`: the repositories and the names of their files, the licences,
commit and hash of the file with the negative prompt, and the hashes of the four-step LoRA and of BiRefNet's
graph. Not pinned by us: commits and hashes of all else on the Hugging Face Hub. The server states those
before the user is asked; they are written to ``manifest.json`` beside the files at the first download, and
from then on every file is of that commit and is compared with that hash. Hence the first download trusts the
server; one that resumes, or a copy of the folder, does not have to.
"""
