"""What a user can press, one intent per file."""

import bpy

from .apply_take import ApplyTake
from .cancel import Cancel
from .dismiss import Dismiss
from .download_weights import DownloadWeights
from .fixes import InstallBackend, ObjectMode, RestartWorker, Retry
from .takes import RemoveTake, ShowTake
from .texture_scene import TextureScene
from .texture_selected import TextureSelected

_CLASSES = (TextureSelected, TextureScene, Cancel, Dismiss, ApplyTake, ShowTake, RemoveTake,
            DownloadWeights, InstallBackend, ObjectMode, RestartWorker, Retry)


def register() -> None:
    for cls in _CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
