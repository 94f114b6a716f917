"""Mistakes in files: bytes that are changed, repeated or cut out, and other values in the JSON of a GLB."""

import contextlib
import json
import random
import struct

NUMBERS = (0, 1, -1, 2, 3, 255, 65535, 65536, 2**31 - 1, 2**31, 2**32, 2**63, 10**30, -(10**9))
VALUES = (*NUMBERS, 0.5, 1e300, float("nan"), None, True, "", "x", "VEC3", [], [0], [[0]], {}, {"x": 0})
"""Values that replace those of a JSON text."""

WORDS = (b"\0", b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"nan", b"-1", b"1e999", b"/", b"\n", b" ")


def mutate(whole: list[bytes], words: tuple[bytes, ...], dice: random.Random) -> bytes:
    """One of the inputs with a few mistakes.

    Args:
        whole: inputs without mistakes.
        words: what the format is written in; they are put in at random places.
    """
    data = dice.choice(whole)
    if data[:4] == b"glTF" and dice.random() < 0.7:
        with contextlib.suppress(ValueError, TypeError, RecursionError, struct.error):  # It has mistakes.
            return _mutate_glb(data, dice)
    for _ in range(dice.choice((1, 1, 2, 4, 8))):
        data = _mutate_bytes(data, whole, words, dice)
    return data


def _mutate_bytes(data: bytes, whole: list[bytes], words: tuple[bytes, ...], dice: random.Random) -> bytes:
    at = dice.randrange(len(data) + 1)
    end = min(len(data), at + dice.choice((1, 1, 2, 4, 16, 256)))
    match dice.randrange(7):
        case 0:
            return data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]
        case 1:
            return data[:at] + dice.choice(WORDS + words) + data[dice.choice((at, end)) :]
        case 2:
            return data[:at] + data[end:]
        case 3:
            return data[:at] + data[at:end] * dice.randrange(2, 9) + data[end:]
        case 4:
            return data[:at]
        case 5:
            number = dice.choice(NUMBERS) & 0xFFFFFFFF
            return data[:at] + struct.pack(dice.choice("<>") + "I", number) + data[at + 4 :]
        case _:
            other = dice.choice(whole)
            return data[:at] + other[dice.randrange(len(other)) :]


def _mutate_glb(data: bytes, dice: random.Random) -> bytes:
    """A GLB with other values in its JSON, and lengths that fit it."""
    size = struct.unpack_from("<I", data, 12)[0]
    tree = json.loads(data[20 : 20 + size])
    for _ in range(dice.choice((1, 1, 2, 3))):
        _mutate_tree(tree, dice)
    return write_glb(tree, data[28 + size :])


def _mutate_tree(tree: dict | list, dice: random.Random) -> None:
    places = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node))
        places += [(node, key) for key in keys]
        waiting += [node[key] for key in keys if isinstance(node[key], dict | list)]
    if not places:
        return
    node, key = dice.choice(places)
    if dice.random() < 0.2 and isinstance(node, dict):
        del node[key]
    else:
        other, name = dice.choice(places)
        node[key] = json.loads(json.dumps(dice.choice((*VALUES, other[name]))))


def write_glb(tree: dict, blob: bytes) -> bytes:
    """A GLB file of a JSON tree and its binary chunk."""
    text = json.dumps(tree).encode()
    text, blob = text + b" " * (-len(text) % 4), blob + bytes(-len(blob) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(blob), b"BIN\0") + blob
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks
