"""Colour spaces by their role, since a configuration of OpenColorIO may give them any name."""

import bpy


def set_color_space(image: bpy.types.Image, is_data: bool) -> None:
    """Makes an image one of data, such as normals or a mask, or of colours as files of bytes hold them."""
    if is_data:
        image.colorspace_settings.is_data = True
    else:
        image.colorspace_settings.name = find_byte_space()


def find_byte_space() -> str:
    """The name of the colour space that Blender gives images of bytes: sRGB, unless a configuration says
    otherwise."""
    image = bpy.data.images.new("Color Space", 1, 1)
    name = image.colorspace_settings.name
    bpy.data.images.remove(image)
    return name
