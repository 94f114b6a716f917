"""Textures objects of a .blend without a window. Three ways to run it:

    blender -b scene.blend --python docs/examples/texture_selected.py --
        --image ref.png --objects Body Hat --output out.blend
    python docs/examples/texture_selected.py scene.blend --image ref.png --output out.blend
        (with `pip install bpy pyzmq`)
    blender -b scene.blend --command orbit_texture texture --image ref.png --output out.blend
        (the same, built in)

Uses the extension if it is enabled, else this checkout.
"""

import importlib.util
import os
import sys
from pathlib import Path

import bpy


def orbit_texture():
    """Imports the package of Orbit Texture: the enabled extension, or the checkout that contains this
    file."""
    enabled = (
        addon.module
        for addon in bpy.context.preferences.addons
        if addon.module.split(".")[-1] == "orbit_texture"
    )
    if name := next(enabled, None):
        return importlib.import_module(name)
    root = Path(__file__).resolve().parents[2]
    spec = importlib.util.spec_from_file_location(
        "orbit_texture", root / "__init__.py", submodule_search_locations=[str(root)]
    )
    package = sys.modules["orbit_texture"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    package.register()
    return package


def main() -> int:
    arguments = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    package = orbit_texture()
    if arguments and arguments[0].endswith(".blend"):
        bpy.ops.wm.open_mainfile(filepath=arguments.pop(0))
    return importlib.import_module(f"{package.__name__}.addon.headless.command").main(["texture", *arguments])


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # A normal exit crashes bpy 4.2 and hangs bpy 4.5 while an add-on is registered.
    os._exit(code)
