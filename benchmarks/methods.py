"""Ways to turn frames into a texture, behind one interface: ours, the baselines, and peers.

Every method takes :class:`Frames` and gives a texture (S, S, 3) float32 sRGB 0..255, padded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
import trimesh
from scipy.spatial import cKDTree

from backend.align.align import AlignConfig, Alignment, align
from backend.bake.agreement import voxel_statistics
from backend.bake.bake import bake, view_quality
from backend.bake.contrast_weights import contrast_weights
from backend.bake.fill import fill_unseen
from backend.bake.texel_colors import color_from_views
from backend.bake.view_selection import select_views
from backend.fuse.observations import PaintedViews, View
from backend.fuse.solve import blend, fit_texture, render_back
from backend.mesh.surface import Surface
from backend.mesh.texels import locate_texels, nearest_in_mask
from backend.mesh.voxels import interpolate, voxelize
from backend.render.rasterize import GBuffer

VOXEL_RESOLUTION = 512
"""Of the grid on which views are selected."""


@dataclass(frozen=True)
class Frames:
    """The input of every method.

    Attributes:
        surface: with UVs.
        buffers: per view its G-buffer.
        images: per view (H, W, 3) uint8 sRGB.
        size: of the texture.
    """

    surface: Surface
    buffers: list[GBuffer]
    images: list[np.ndarray]
    size: int

    @cached_property
    def painted(self) -> PaintedViews:
        return PaintedViews.of(self.surface, self.buffers, np.ones(len(self.images), np.float32))

    def align(self, config: AlignConfig) -> Alignment:
        """The frames after the align stage."""
        return align(self.surface, self.painted, self.images, lambda fraction: None, config)

    @cached_property
    def unaligned(self) -> Alignment:
        return self.align(AlignConfig(rounds=()))


def average(frames: Frames) -> np.ndarray:
    """Average Baking: the mean of all views that see a texel."""
    return _blend(frames, [np.ones(len(view), np.float32) for view in frames.unaligned.views])


def incidence_blend(frames: Frames) -> np.ndarray:
    """The mean weighted by cos^6 of the incidence, and less at edges (AssetGen 7.4)."""
    return _blend(frames, [view.weights(6) for view in frames.unaligned.views])


def best_view(frames: Frames) -> np.ndarray:
    """Greedy: every texel from the view that sees its voxel best."""
    return _texture_from_labels(frames, smoothness=0)


def graph_cut_texels(frames: Frames) -> np.ndarray:
    """Labels by graph cut, colours per texel over its footprint."""
    return _texture_from_labels(frames, smoothness=0.7)


def graph_cut_voxels(frames: Frames) -> np.ndarray:
    """Labels by graph cut, a colour per voxel, looked up trilinearly: the reference's export."""
    surface, views, colors = frames.surface, frames.unaligned.views, frames.unaligned.colors
    voxels = voxelize(surface, VOXEL_RESOLUTION)
    labels = _select_labels(frames, voxels, 0.7)
    sums = np.zeros((len(voxels), 4), np.float32)
    for index, (view, shown) in enumerate(zip(views, colors, strict=True)):
        place = voxels.index_of(view.points)
        own = (place >= 0) & (labels[place] == index)
        np.add.at(sums, place[own], np.column_stack([shown[own], np.ones(int(own.sum()))]))
    # A voxel that no pixel of its view hits takes the mean of its neighbours.
    a, b = voxels.edges.T
    for _ in range(4):
        empty = sums[:, 3] == 0
        around = np.zeros_like(sums)
        np.add.at(around, a, sums[b])
        np.add.at(around, b, sums[a])
        sums[empty] = around[empty]
    texels = locate_texels(surface, frames.size)
    values = interpolate(voxels, sums[:, :3] / np.maximum(sums[:, 3:], 1), texels.positions)
    return values[texels.nearest]


def differentiable_rendering(frames: Frames) -> np.ndarray:
    """The texture that matches all views, each pixel one read and all alike: what gradient descent through a
    renderer converges to."""
    views = [replace(view, jacobian=np.zeros_like(view.jacobian)) for view in frames.unaligned.views]
    weights = [np.ones(len(view), np.float32) for view in views]
    start, weight = blend(views, weights, frames.unaligned.colors, frames.size)
    return pad(fit_texture(views, weights, frames.unaligned.colors, start, 20), weight)


def flow_alignment(frames: Frames) -> np.ndarray:
    """The first try: render the blend back, optical flow to the frame, three rounds; then weighted least
    squares with one read a pixel."""
    views, images = frames.unaligned.views, [image.copy() for image in frames.images]
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    weights = [view.weights(6) for view in views]
    for _ in range(3):
        colors = _read_pixels(views, images)
        consensus, _ = blend(views, weights, colors, 1024)
        for index, view in enumerate(views):
            images[index] = _warp_by_flow(frames.images[index], view, render_back(view, consensus), flow)
    colors = _match_tone(views, weights, _read_pixels(views, images), consensus)
    views = [replace(view, jacobian=np.zeros_like(view.jacobian)) for view in views]
    start, weight = blend(views, weights, colors, frames.size)
    return pad(fit_texture(views, [view.weights(2) for view in views], colors, start, 8), weight)


def ours(frames: Frames) -> np.ndarray:
    """Aligned, fused by agreement: as a job does it."""
    return _bake(frames, frames.align(AlignConfig()))


def ours_unaligned(frames: Frames) -> np.ndarray:
    """The same without the align stage."""
    return _bake(frames, frames.unaligned)


def open3d(frames: Frames) -> np.ndarray:
    """Open3D's non-rigid optimiser (Zhou and Koltun 2014): a colour per vertex of the mesh, subdivided to
    about a million triangles."""
    from open3d import camera, geometry, pipelines, utility

    surface, steps = frames.surface, max(0, round(np.log(1e6 / len(frames.surface.faces)) / np.log(4)))
    mesh = trimesh.Trimesh(surface.vertices, surface.faces, process=False)
    for _ in range(steps):
        mesh = mesh.subdivide()
    solid = geometry.TriangleMesh(utility.Vector3dVector(mesh.vertices), utility.Vector3iVector(mesh.faces))
    images, poses = [], []
    for buffer, image in zip(frames.buffers, frames.images, strict=True):
        depth = geometry.Image(np.where(buffer.mask, buffer.depth, 0).astype(np.float32))
        color_image = geometry.Image(np.ascontiguousarray(image))
        images.append(
            geometry.RGBDImage.create_from_color_and_depth(
                color_image, depth, 1.0, 10.0, convert_rgb_to_intensity=False
            )
        )
        poses.append(_open3d_camera(camera, buffer.camera))
    option = pipelines.color_map.NonRigidOptimizerOption(
        maximum_iteration=20,
        maximum_allowable_depth=10.0,
        depth_threshold_for_visibility_check=0.01,
        depth_threshold_for_discontinuity_check=0.03,
    )
    trajectory = camera.PinholeCameraTrajectory()
    trajectory.parameters = poses
    solid, _ = pipelines.color_map.run_non_rigid_optimizer(solid, images, trajectory, option)
    texels = locate_texels(surface, frames.size)
    distance, near = cKDTree(np.asarray(solid.vertices)).query(texels.positions, k=3, workers=-1)
    weight = 1 / np.maximum(distance, 1e-6)
    weight /= weight.sum(axis=1, keepdims=True)
    values = np.einsum("nk,nkc->nc", weight, 255 * np.asarray(solid.vertex_colors)[near])
    return values[texels.nearest].astype(np.float32)


def _open3d_camera(camera, own):
    """The same camera in OpenCV's axes."""
    result = camera.PinholeCameraParameters()
    focal = own.focal * own.width
    result.intrinsic = camera.PinholeCameraIntrinsic(
        own.width, own.height, focal, focal, own.width / 2 - 0.5, own.height / 2 - 0.5
    )
    pose = np.eye(4)
    pose[:3, :3] = own.rotation.T * [[1], [-1], [-1]]
    pose[:3, 3] = -pose[:3, :3] @ own.position
    result.extrinsic = pose
    return result


METHODS = {
    "average": average,
    "incidence blend": incidence_blend,
    "best view": best_view,
    "graph cut, voxels": graph_cut_voxels,
    "graph cut, texels": graph_cut_texels,
    "differentiable rendering": differentiable_rendering,
    "flow, then fit": flow_alignment,
    "ours, not aligned": ours_unaligned,
    "ours": ours,
    "open3d": open3d,
}


def pad(texture: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A texture (S, S, 3) where every pixel of the atlas that no view touched repeats the nearest one that
    some view did."""
    return texture[weight > 0][nearest_in_mask(weight > 0)]


def _blend(frames: Frames, weights: Sequence[np.ndarray]) -> np.ndarray:
    return pad(*blend(frames.unaligned.views, weights, frames.unaligned.colors, frames.size))


def _select_labels(frames: Frames, voxels, smoothness: float) -> np.ndarray:
    quality = view_quality(voxels, frames.painted)
    if not smoothness:
        return np.where(quality.any(axis=1), quality.argmax(axis=1), -1).astype(np.int32)
    views, colors = frames.unaligned.views, frames.unaligned.colors
    weights = [view.weights(6) for view in views]
    consensus, _ = blend(views, weights, colors, 1024)
    mean, difference = voxel_statistics(voxels, views, weights, colors, consensus)
    return select_views(voxels, quality, smoothness, contrast_weights(voxels.edges, mean, difference))


def _texture_from_labels(frames: Frames, smoothness: float) -> np.ndarray:
    voxels = voxelize(frames.surface, VOXEL_RESOLUTION)
    labels = _select_labels(frames, voxels, smoothness)
    texels = locate_texels(frames.surface, frames.size)
    index = voxels.index_of(texels.positions)
    wanted = np.where(index >= 0, labels[index], -1)
    values, read = color_from_views(
        texels, wanted, frames.surface, frames.buffers, frames.unaligned.views, frames.unaligned.colors
    )
    values = fill_unseen(texels.positions, texels.normals, values, read, 0)
    return values[texels.nearest]


def _bake(frames: Frames, alignment: Alignment) -> np.ndarray:
    texture = bake(
        frames.surface,
        frames.painted,
        alignment,
        frames.size,
        VOXEL_RESOLUTION,
        0,
        lambda fraction: None,
    )
    return texture.base_color.astype(np.float32)


def _read_pixels(views: Sequence[View], images: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [
        image.reshape(-1, 3)[view.pixels].astype(np.float32)
        for view, image in zip(views, images, strict=True)
    ]


def _warp_by_flow(image: np.ndarray, view: View, rendered: np.ndarray, flow) -> np.ndarray:
    """The image moved onto what the surface shows, by optical flow smoothed where it can be trusted."""
    target = np.zeros_like(image)
    target.reshape(-1, 3)[view.pixels] = np.clip(rendered, 0, 255).astype(np.uint8)
    trust = np.zeros(image.shape[:2], np.float32)
    trust.ravel()[view.pixels] = view.edge_trust
    masked = np.where(trust[..., None] > 0, image, 0)
    motion = flow.calc(
        cv2.cvtColor(target, cv2.COLOR_RGB2GRAY), cv2.cvtColor(masked, cv2.COLOR_RGB2GRAY), None
    )
    blurred_trust = np.maximum(cv2.GaussianBlur(trust, (0, 0), 6), 1e-3)
    motion = cv2.GaussianBlur(motion * trust[..., None], (0, 0), 6) / blurred_trust[..., None]
    grid = np.stack(np.meshgrid(np.arange(image.shape[1]), np.arange(image.shape[0])), axis=-1).astype(
        np.float32
    )
    return cv2.remap(image, grid + motion, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _match_tone(views, weights, colors, consensus) -> list[np.ndarray]:
    """Mean and contrast of every view made those of the consensus under it."""
    result = []
    for view, weight, shown in zip(views, weights, colors, strict=True):
        target = render_back(view, consensus)
        statistics = [
            (np.average(values, axis=0, weights=weight), values.std(axis=0)) for values in (target, shown)
        ]
        (wanted, wide), (mean, narrow) = statistics
        result.append(((shown - mean) * (wide / narrow) + wanted).astype(np.float32))
    return result
