"""Messages packed into frames and unpacked again, and what is refused."""

import json

import numpy as np
import pytest

from backend.api import messages, wire
from backend.api.errors import ProtocolError, VersionMismatch

ID = "0123456789abcdef" * 2
SUBMIT = {"job": ID, "name": "Suzanne", "settings": {}, "check_reference": False}


def header(**changes) -> bytes:
    fields = {"v": messages.PROTOCOL, "type": "submit", "body": SUBMIT, "arrays": []} | changes
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


def description(**changes) -> dict:
    return {"name": "faces", "dtype": "int32", "shape": [2, 3]} | changes


def test_a_packed_message_is_unpacked_unchanged():
    arrays = {
        "vertices": np.arange(12, dtype=np.float32).reshape(4, 3),
        "faces": np.zeros((0, 3), np.int32),
        "reference": np.arange(24, dtype=np.uint8).reshape(2, 3, 4)[:, ::-1],
    }
    message = wire.unpack([bytes(frame) for frame in wire.pack("submit", SUBMIT, arrays)])
    assert (message.type, message.body) == ("submit", SUBMIT)
    assert list(message.arrays) == list(arrays)
    for name, array in arrays.items():
        assert message.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(message.arrays[name], array)


def test_arrays_travel_without_a_copy_and_arrive_read_only():
    array = np.zeros((1000, 3), np.float32)
    frames = wire.pack("submit", SUBMIT, {"vertices": array})
    assert np.shares_memory(np.frombuffer(frames[1], np.uint8), array)
    received = wire.unpack(frames).arrays["vertices"]
    assert np.shares_memory(received, array)
    with pytest.raises(ValueError, match="read-only"):
        received[0] = 1


@pytest.mark.parametrize("extra", [-4, 0, 4, wire.MAX_FRAME, 2 * wire.MAX_FRAME + 400])
def test_an_array_larger_than_a_frame_travels_in_several(extra):
    array = np.arange((wire.MAX_FRAME + extra) // 4, dtype=np.int32)
    arrays = {"faces": array, "vertices": np.zeros(0, np.float32), "reference": array[:5]}
    frames = wire.pack("submit", SUBMIT, arrays)
    assert max(len(frame) for frame in frames) <= wire.MAX_FRAME
    received = wire.unpack(frames).arrays
    for name, sent in arrays.items():
        np.testing.assert_array_equal(received[name], sent)
        assert not received[name].flags.writeable
    for changed in (frames[:-1], [*frames, b""], [frames[0], *frames[2:]], [*frames[:2], b"", *frames[2:]]):
        with pytest.raises(ProtocolError):
            wire.unpack(changed)


def test_every_message_of_the_table_is_accepted_with_its_fields():
    samples = (ID, 1, False, {}, [])
    for message_type, fields in (messages.FROM_CLIENT | messages.FROM_SERVER).items():
        body = {
            name: next(sample for sample in samples if isinstance(sample, kind))
            for name, kind in fields.items()
        }
        assert wire.unpack(wire.pack(message_type, body)).body == body


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{",
        b"NaN",
        b"[" * 100_000,
        b"POST / HTTP/1.1\r\n\r\n",
        header(type="nothing"),
        header(type=7),
        header(body=[]),
        header(arrays={}),
        header(type=...),
        header(body=...),
        header(arrays=...),
        header(extra=1),
        header(body={}),
        header(body=SUBMIT | {"more": 1}),
        header(body=SUBMIT | {"name": 5}),
        header(body=SUBMIT | {"job": "../../etc/passwd"}),
        header(body=SUBMIT | {"job": ID + "\n"}),
        header(body=SUBMIT | {"name": "x" * 2000}),
        header(type="order", body={"jobs": [ID, "../x"]}),
        header(type="order", body={"jobs": [[]]}),
        header(type="order", body={"jobs": ID}),
        header().replace(b'"settings": {}', b'"settings": {"seed": NaN}'),
        b" " * (wire.MAX_HEADER + 1),
    ],
)
def test_a_header_that_does_not_follow_the_protocol_is_refused(frame):
    with pytest.raises(ProtocolError):
        wire.unpack([frame])


@pytest.mark.parametrize("version", [0, messages.PROTOCOL + 1, "1", None, ...])
def test_another_version_of_the_protocol_is_a_version_mismatch(version):
    with pytest.raises(VersionMismatch) as caught:
        wire.unpack([header(v=version)])
    assert caught.value.fix == "restart_worker"


@pytest.mark.parametrize(
    ("entries", "frames"),
    [
        ([description()], []),
        ([], [bytes(24)]),
        ([description()], [bytes(23)]),
        ([description()], [bytes(24), bytes(24)]),
        ([description(dtype="float64")], [bytes(48)]),
        ([description(dtype="object")], [bytes(48)]),
        ([description(dtype=["int32"])], [bytes(24)]),
        ([description(shape=[6.0])], [bytes(24)]),
        ([description(shape=[True, 6])], [bytes(24)]),
        ([description(shape=[-2, -3])], [bytes(24)]),
        ([description(shape="23")], [bytes(24)]),
        ([description(shape=[1, 1, 1, 1, 6])], [bytes(24)]),
        ([description(shape=[2**62, 4])], [bytes(24)]),
        ([description(shape=[0, 2**63])], [b""]),
        ([description(shape=[0, 10**400])], [b""]),
        ([description(shape=[2**31])], [bytes(24)]),
        ([description(name="")], [bytes(24)]),
        ([description(name=3)], [bytes(24)]),
        ([description(more=1)], [bytes(24)]),
        (["faces"], [bytes(24)]),
        ([description(), description()], [bytes(24), bytes(24)]),
        (
            [description(name=f"a{number}") for number in range(wire.MAX_ARRAYS + 1)],
            [bytes(24)] * (wire.MAX_ARRAYS + 1),
        ),
    ],
)
def test_arrays_that_differ_from_their_description_are_refused(entries, frames):
    with pytest.raises(ProtocolError):
        wire.unpack([header(arrays=entries), *frames])


def test_only_jobs_and_results_carry_arrays():
    with pytest.raises(ProtocolError, match="carries no arrays"):
        wire.pack("ping", {}, {"faces": np.zeros(3, np.int32)})
    with pytest.raises(ProtocolError, match="carries no arrays"):
        wire.unpack([header(type="ping", body={}, arrays=[description()]), bytes(24)])


def test_a_message_that_would_be_refused_is_not_packed():
    with pytest.raises(ProtocolError, match="must be one of"):
        wire.pack("submit", SUBMIT, {"vertices": np.zeros(3)})
    with pytest.raises(ProtocolError, match="cannot be written as JSON"):
        wire.pack("submit", SUBMIT | {"settings": {"azimuth": float("nan")}})
    with pytest.raises(ProtocolError, match="too large"):
        wire.pack("submit", SUBMIT, {"vertices": np.broadcast_to(np.float32(0), (wire.MAX_ARRAY // 4 + 1,))})
