"""A painter's weights: downloaded when asked, checked, converted.

Pinned by us, in :mod:`backend.api.weights`: the repositories and the names of their files, the licences,
commit and hash of the file with the unwanted text, and the hashes of the four-step LoRA. Not pinned by us:
commits and hashes of all else on the Hugging Face Hub. Those the server tells before the user is asked; they
are written to ``manifest.json`` beside the files at the first download, and from then on every file is of
that commit and is compared with that hash. The first download therefore trusts the server; one that goes on,
or a copy of the folder, does not have to.
"""
