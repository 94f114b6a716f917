"""Copies share their texels: each takes what the reference shows of any copy."""

from dataclasses import replace

import numpy as np
import pytest

from backend.api.errors import InvalidTarget
from backend.api.job import Kept
from backend.bake.bake import Texture
from backend.bake.region import blend_region, decode_kept
from backend.bake.share import share_texels
from backend.mesh.copies import lay_upon_another, select_originals
from backend.mesh.prepare import prepare
from backend.mesh.surface import Surface
from backend.mesh.tiles import atlas_size, cut_cells
from backend.mesh.uvs import count_overlaps
from backend.records import load_surface, save_surface
from backend.results import encode_png
from tests.meshes import ignore_progress
from tests.stacked_meshes import copy_mesh, half_body, join, move

SIZE = 128


def mirrored(copies: int = 2, size: int = SIZE, tiles: int = 1) -> Surface:
    """Halves upon one another, the whole once per UDIM tile."""
    transforms = (
        [move(), move(mirror=(-1, 1, 1))] if copies == 2 else [move(2 * k, 0, 0) for k in range(copies)]
    )
    mesh = copy_mesh(*transforms)
    if tiles > 1:
        single = copy_mesh(move(0, 4, 0), mesh=(*half_body()[:2], half_body()[2] + (1, 0)))
        mesh = join(mesh, single)
    return prepare(mesh, size, ignore_progress)


def texture_of(surface: Surface, colors, sources, size: int = SIZE) -> Texture:
    """A texture with an even colour and source per cell of the atlas."""
    whole = atlas_size(surface.tiles, size)
    maps = [np.zeros((whole, whole, 3), np.uint8) for _ in range(2)]
    for atlas, values in zip(maps, (colors, sources), strict=True):
        for cell, value in zip(cut_cells(atlas, surface.tiles), values, strict=True):
            cell[...] = value
    seen = np.full((whole, whole, 1), 255, np.uint8)
    return Texture(maps[0], seen // 2, seen, 0 * maps[0], 1.0, color_source=maps[1])


PICTURE, MIRRORED, INVENTED = (255, 0, 0), (0, 255, 0), (0, 0, 255)
RED, BLUE = (200, 20, 20), (20, 20, 200)


@pytest.mark.parametrize(
    ("sources", "wanted"),
    [
        ((PICTURE, INVENTED), RED),
        ((INVENTED, PICTURE), BLUE),
        ((MIRRORED, PICTURE), BLUE),
        ((INVENTED, MIRRORED), BLUE),
        ((PICTURE, PICTURE), RED),
    ],
)
def test_a_texel_takes_the_copy_that_the_picture_shows(sources, wanted):
    surface = mirrored()
    assert surface.tiles == (1001, 1001)
    assert not surface.unwrapped
    assert count_overlaps(surface.corner_uvs, 512)[1] == 0
    shared = share_texels(surface, texture_of(surface, (RED, BLUE), sources))
    assert shared.base_color.shape == (SIZE, SIZE, 3)
    assert (shared.base_color == wanted).all()
    assert (shared.coverage == 255).all()
    assert shared.covered == 1
    assert np.array_equal(
        lay_upon_another(surface).corner_uvs[: len(half_body()[1])], half_body()[2].astype("f4")
    )


def test_where_another_copy_is_shown_it_is_taken_with_a_soft_border():
    surface = mirrored()
    texture = texture_of(surface, (RED, BLUE), (INVENTED, INVENTED))
    left, right = cut_cells(texture.color_source, surface.tiles)
    left[:, : SIZE // 2], right[:, SIZE // 2 :] = PICTURE, PICTURE
    color = share_texels(surface, texture).base_color.astype(int)
    assert (color[:, : SIZE // 2 - 8] == RED).all()
    assert (color[:, SIZE // 2 + 8 :] == BLUE).all()
    assert np.abs(np.diff(color[SIZE // 2, :, 0])).max() < 150


def test_copies_that_no_view_sees_are_taken_by_no_texel():
    surface = mirrored()
    texture = texture_of(surface, (RED, BLUE), (PICTURE, PICTURE))
    cut_cells(texture.coverage, surface.tiles)[0][...] = 0
    shared = share_texels(surface, texture)
    assert (shared.base_color == BLUE).all()


def test_only_as_many_copies_are_painted_as_have_room():
    surface = mirrored(copies=7, size=4096)
    assert surface.tiles == (1001,) * 4
    shown = np.ptp(surface.corner_uvs, axis=1).max(axis=1) > 0
    assert (
        shown.tolist()
        == np.repeat([True, False], [4 * len(half_body()[1]), 3 * len(half_body()[1])]).tolist()
    )


def test_tiles_with_and_without_copies():
    surface = mirrored(tiles=2)
    assert surface.tiles == (1001, 1001, 1002)
    shared = share_texels(surface, texture_of(surface, (RED, BLUE, (9, 9, 9)), (INVENTED, PICTURE, INVENTED)))
    first, second = cut_cells(shared.base_color, (1001, 1002))
    assert (first == BLUE).all()
    assert (second == 9).all()


def test_copies_are_not_made_alike_where_they_meet():
    surface = mirrored(tiles=2)
    faces, count = surface.seam_faces, len(half_body()[1])
    halves = faces[:count], faces[count : 2 * count], faces[2 * count :]
    assert len(np.intersect1d(surface.faces[:count], surface.faces[count : 2 * count])) > 0
    assert len(np.intersect1d(halves[0], halves[1])) == 0
    assert np.array_equal(halves[2], surface.faces[2 * count :])


def test_surfaces_with_copies_are_stored():
    surface = mirrored()
    loaded = load_surface(save_surface(surface))
    assert loaded.tiles == surface.tiles
    assert np.array_equal(loaded.shared_uvs, surface.shared_uvs)
    assert load_surface(save_surface(replace(surface, shared_uvs=None))).shared_uvs is None


@pytest.mark.parametrize("copy", [0, 1])
def test_a_region_marked_on_any_copy_is_repainted(copy):
    surface = mirrored()
    faces = len(half_body()[1])
    marked = np.zeros(2 * faces, np.uint8)
    marked[copy * faces : copy * faces + faces // 4] = 1
    old = encode_png(np.full((SIZE, SIZE, 3), 100, np.uint8))
    earlier = decode_kept(Kept({"base_color": old}, marked), surface)
    new = share_texels(surface, texture_of(surface, (RED, RED), (PICTURE, PICTURE)))
    blended = blend_region(select_originals(surface), new, earlier, ignore_progress).base_color
    kept = (blended == 100).all(axis=-1).mean()
    assert 0.4 < kept < 0.9
    assert (blended == RED).all(axis=-1).any()


def test_an_empty_region_of_copies_is_told():
    old = encode_png(np.full((SIZE, SIZE, 3), 100, np.uint8))
    surface = mirrored()
    with pytest.raises(InvalidTarget):
        decode_kept(Kept({"base_color": old}, np.zeros(len(surface.faces), np.uint8)), surface)
