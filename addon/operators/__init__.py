"""The operators, one user intent per file."""

import bpy

from .announce import Announce
from .apply_take import ApplyTake
from .backend import InstallBackend, RemoveBackend, StopSetup
from .cancel import Cancel
from .check_mesh import CheckMesh
from .check_reference import CheckReference, ChooseView
from .compare import CompareTakes
from .correct_mask import ClearMask, CorrectMask, MaskBox, MaskStroke
from .diagnose import CopyDiagnostics, Doctor
from .dismiss import Dismiss
from .download_weights import DownloadWeights
from .export import ExportGLB, ExportTextures
from .fixes import MakeLocal, ObjectMode, RecalculateNormals, RestartWorker, Retry, UseLessMemory
from .move_job import MoveJob
from .nudge import NudgeView
from .open_reference import OpenReference
from .open_report import OpenReport
from .own_reference import OwnReference
from .pictures import AddPictures, LeadPicture, MovePicture, RemovePicture
from .pins import AddPins, ClearPins
from .presets import AddPreset, UsePreset
from .recall_settings import RecallSettings
from .repaint import ClearRegion, MarkRegion, RepaintRegion
from .run_first import RunFirst
from .set_reference import SetReference
from .show_messages import ShowMessages
from .show_report import ShowReport
from .show_texture import ShowTexture
from .takes import NextTake, RemoveTake, ShowTake
from .texture_scene import TextureScene
from .texture_selected import TextureSelected

OPERATORS = (
    TextureSelected,
    TextureScene,
    SetReference,
    OpenReference,
    OwnReference,
    AddPictures,
    RemovePicture,
    MovePicture,
    LeadPicture,
    CheckReference,
    ChooseView,
    CorrectMask,
    MaskBox,
    MaskStroke,
    ClearMask,
    AddPins,
    ClearPins,
    NudgeView,
    CheckMesh,
    Cancel,
    RunFirst,
    MoveJob,
    Dismiss,
    Retry,
    ShowReport,
    ShowMessages,
    OpenReport,
    ApplyTake,
    Announce,
    ShowTexture,
    ShowTake,
    NextTake,
    CompareTakes,
    RemoveTake,
    RecallSettings,
    UsePreset,
    AddPreset,
    MarkRegion,
    ClearRegion,
    RepaintRegion,
    ExportTextures,
    ExportGLB,
    DownloadWeights,
    InstallBackend,
    RemoveBackend,
    StopSetup,
    Doctor,
    CopyDiagnostics,
    ObjectMode,
    MakeLocal,
    RecalculateNormals,
    UseLessMemory,
    RestartWorker,
)


def register() -> None:
    for cls in OPERATORS:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(OPERATORS):
        bpy.utils.unregister_class(cls)
