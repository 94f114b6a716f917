"""The reference warped onto the mesh."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import trimesh

from backend.paint.bend import warp_image
from backend.paint.draft.image.warp import fit_warp, warp_to_mesh
from backend.paint.reference import Reference
from backend.render.camera import Camera
from backend.render.rasterize import positions, rasterize
from tests.meshes import camera_at, knot, surface_of

IMAGE_SIZE = 320


@pytest.fixture(scope="module")
def plaque():
    """A slab with two bars and a block on its front, none of which its outline shows."""
    bars = [((0.1, 0.1, 0.6), (x, -0.2, 0)) for x in (-0.3, 0.3)]
    parts = [((1, 0.3, 0.9), (0, 0, 0)), ((0.25, 0.1, 0.3), (0, -0.2, 0)), *bars]
    return surface_of(
        trimesh.util.concatenate(
            [trimesh.creation.box(size).apply_translation(place) for size, place in parts]
        )
    )


def by_part(surface, camera: Camera) -> Reference:
    """The raised parts in one colour, the rest in another."""
    buffer = rasterize(surface.vertices, surface.faces, camera)
    color = np.where(
        positions(buffer)[..., 1:2] < -0.155, np.float32([0.8, 0.5, 0.2]), np.float32([0.3, 0.4, 0.6])
    )
    return Reference(color.astype(np.float32), buffer.mask.astype(np.float32))


def swirl(pixels: float) -> np.ndarray:
    """(H, W, 2) float32: a smooth displacement by at most this many pixels, as in a drawing from memory."""
    y, x = np.mgrid[0:IMAGE_SIZE, 0:IMAGE_SIZE] / IMAGE_SIZE
    return (
        pixels * np.stack([np.sin(5 * y + 1) * np.cos(3 * x), np.cos(4 * x) * np.sin(4 * y + 2)], axis=-1)
    ).astype(np.float32)


def residual_displacement(flow: np.ndarray | None, drawn: np.ndarray, mask: np.ndarray) -> float:
    """Mean pixels by which an image that was drawn with a displacement is still displaced after warping it by
    a flow in cells."""
    places = np.stack(np.meshgrid(*2 * [np.arange(IMAGE_SIZE, dtype=np.float32)]), axis=-1)
    flow = (
        0 * drawn
        if flow is None
        else cv2.resize(flow, (IMAGE_SIZE, IMAGE_SIZE), interpolation=cv2.INTER_CUBIC)
        * np.float32(IMAGE_SIZE / flow.shape[1])
    )
    left = flow + cv2.remap(drawn, places + flow, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return float(np.linalg.norm(left, axis=2)[mask].mean())


def test_an_image_that_matches_the_mesh_is_not_warped(plaque):
    surface, camera = surface_of(knot()), camera_at(30, 12, IMAGE_SIZE)
    for thing in (surface, plaque):
        reference = by_part(thing, camera)
        assert warp_to_mesh(reference, camera, thing) is reference


def test_a_mesh_that_the_view_does_not_see_does_not_warp_the_image(plaque):
    edge_on = surface_of(
        trimesh.Trimesh(
            [(0, -1, -1), (0, 1, -1), (0, 1, 1), (0, -1, 1)], [(0, 1, 2), (0, 2, 3)], process=False
        )
    )
    reference = by_part(plaque, camera_at(0, 0, IMAGE_SIZE))
    assert warp_to_mesh(reference, camera_at(0, 0, IMAGE_SIZE), edge_on) is reference


def test_a_distorted_image_is_warped_onto_the_mesh(plaque):
    camera, drawn = camera_at(12, 8, IMAGE_SIZE), swirl(4)
    whole = by_part(plaque, camera)
    flow = fit_warp(warp_image(whole, drawn), camera, plaque)
    assert residual_displacement(flow, drawn, whole.alpha > 0) < 0.5 * residual_displacement(
        None, drawn, whole.alpha > 0
    )


def test_feature_edges_pull_where_there_is_no_outline(plaque):
    camera, whole = camera_at(12, 8, IMAGE_SIZE), by_part(plaque, camera_at(12, 8, IMAGE_SIZE))
    y, x = np.mgrid[0:IMAGE_SIZE, 0:IMAGE_SIZE] / IMAGE_SIZE - 0.5
    drawn = swirl(2) + 4 * np.exp(-(x**2 + y**2) / 0.02)[..., None].astype(np.float32)
    image = warp_image(whole, drawn)
    plain = replace(image, color=np.full_like(image.color, 0.5))
    middle = np.hypot(x, y) < 0.1
    with_edges, without = (
        residual_displacement(fit_warp(one, camera, plaque), drawn, middle) for one in (image, plain)
    )
    assert with_edges < 0.5 * without


def test_an_image_of_something_else_is_not_warped_onto_the_mesh(plaque):
    camera = camera_at(12, 8, IMAGE_SIZE)
    alpha = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.float32)
    cv2.circle(alpha, (IMAGE_SIZE // 2, IMAGE_SIZE // 2), 70, 1, -1)
    assert (
        fit_warp(Reference(np.full((IMAGE_SIZE, IMAGE_SIZE, 3), 0.5, np.float32), alpha), camera, plaque)
        is None
    )


def test_a_warp_moves_nothing_by_more_than_3_percent_of_the_object(plaque):
    camera, drawn = camera_at(12, 8, IMAGE_SIZE), swirl(14)
    image = warp_image(by_part(plaque, camera), drawn)
    flow = fit_warp(image, camera, plaque)
    size = np.sqrt((image.alpha > 0.5).sum())
    assert flow is None or np.linalg.norm(flow, axis=2).max() * IMAGE_SIZE / flow.shape[1] < 0.031 * size
