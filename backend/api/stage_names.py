"""The stages of a job in the words that users read, wherever progress or times are shown."""

STAGE_NAMES = {
    "prepare": "Reading the mesh",
    "register": "Finding the view",
    "render": "Rendering views",
    "paint": "Painting",
    "align": "Aligning views",
    "bake": "Baking",
    "refine": "Refining",
    "blend": "Blending",
    "download": "Downloading",
}
"""What a job does in each stage of the pipeline, and while it downloads."""


def name_stage(stage: str) -> str:
    """What a job does in a stage; a stage of another version by its own name, and "" for none."""
    return STAGE_NAMES.get(stage, stage.capitalize())
