"""Geometry nodes for the tests: what modifiers may do to materials, UV maps and geometry."""

from collections.abc import Callable

import bpy


def add_modifier(obj: bpy.types.Object, build: Callable, name: str = "Nodes") -> bpy.types.NodeTree:
    """Adds a nodes modifier, whose nodes ``build`` makes of a tree, a start and an end socket."""
    tree = make_tree(build, name)
    obj.modifiers.new(name, "NODES").node_group = tree
    bpy.context.view_layer.update()
    return tree


def make_tree(build: Callable, name: str = "Nodes") -> bpy.types.NodeTree:
    tree = bpy.data.node_groups.new(name, "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    build(tree, tree.nodes.new("NodeGroupInput").outputs[0], tree.nodes.new("NodeGroupOutput").inputs[0])
    return tree


def chain(tree, start, end, *names: str, **inputs):
    """Links nodes one after the other by their first sockets; returns the last, whose inputs are set."""
    for name in names:
        node = tree.nodes.new(f"GeometryNode{name}")
        tree.links.new(start, node.inputs[0])
        start = node.outputs[0]
    for key, value in inputs.items():
        node.inputs[key.replace("_", " ")].default_value = value
    tree.links.new(start, end)
    return node


def set_material(material: bpy.types.Material, faces: int | None = None) -> Callable:
    """Sets a material on all faces, or on the first ``faces`` of them."""

    def build(tree, start, end):
        node = chain(tree, start, end, "SetMaterial", Material=material)
        if faces is not None:
            compare = tree.nodes.new("FunctionNodeCompare")
            compare.data_type, compare.operation = "INT", "LESS_THAN"
            tree.links.new(tree.nodes.new("GeometryNodeInputIndex").outputs[0], compare.inputs["A"])
            next(
                socket for socket in compare.inputs if socket.name == "B" and socket.enabled
            ).default_value = faces
            next(socket for socket in compare.inputs if socket.name == "A" and socket.enabled)
            tree.links.new(compare.outputs[0], node.inputs["Selection"])

    return build


def in_group(build: Callable, depth: int = 2) -> Callable:
    """The same nodes, so many groups deep."""
    if depth == 0:
        return build

    def build_group(tree, start, end):
        node = tree.nodes.new("GeometryNodeGroup")
        node.node_tree = make_tree(in_group(build, depth - 1), "Inner")
        tree.links.new(start, node.inputs[0])
        tree.links.new(node.outputs[0], end)

    return build_group


def instance_cubes(keep: bool = False) -> Callable:
    """Instances cubes on the points, and keeps the mesh beside them or not."""

    def build(tree, start, end):
        cubes = tree.nodes.new("GeometryNodeInstanceOnPoints")
        tree.links.new(start, cubes.inputs["Points"])
        tree.links.new(tree.nodes.new("GeometryNodeMeshCube").outputs[0], cubes.inputs["Instance"])
        join = tree.nodes.new("GeometryNodeJoinGeometry")
        tree.links.new(cubes.outputs[0], join.inputs[0])
        if keep:
            tree.links.new(start, join.inputs[0])
        tree.links.new(join.outputs[0], end)

    return build


def instance_collection(collection: bpy.types.Collection) -> Callable:
    def build(tree, start, end):
        info = tree.nodes.new("GeometryNodeCollectionInfo")
        info.inputs["Collection"].default_value = collection
        tree.links.new(info.outputs[0], end)

    return build


def join_cube(tree, start, end):
    """Adds a cube without a UV map."""
    join = tree.nodes.new("GeometryNodeJoinGeometry")
    tree.links.new(start, join.inputs[0])
    tree.links.new(tree.nodes.new("GeometryNodeMeshCube").outputs[0], join.inputs[0])
    tree.links.new(join.outputs[0], end)


def realize_cubes(tree, start, end):
    """Adds a real cube at every point, all corners of which have the UVs of that point."""
    realize = tree.nodes.new("GeometryNodeRealizeInstances")
    instance_cubes(keep=True)(tree, start, realize.inputs[0])
    tree.links.new(realize.outputs[0], end)


def replace_by_hull(tree, start, end):
    """As many faces as a cube has, without UVs."""
    chain(tree, start, end, "ConvexHull")


def remove_uv_map(tree, start, end):
    chain(tree, start, end, "RemoveAttribute", Name="UVMap")


def make_volume_mesh(tree, start, end):
    chain(tree, start, end, "MeshToVolume", "VolumeToMesh")


def make_volume(tree, start, end):
    chain(tree, start, end, "MeshToVolume")


def remove_all(tree, start, end):
    chain(tree, start, end, "DeleteGeometry")


def set_material_index(number: int) -> Callable:
    return lambda tree, start, end: chain(tree, start, end, "SetMaterialIndex", Material_Index=number)
