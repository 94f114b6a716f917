"""Events as data, and what is no event."""

import pytest

from backend.api.devices import Device
from backend.api.errors import InvalidMesh, ProtocolError
from backend.api.events import JobEvent, State

EVENT = JobEvent(
    "0" * 32, State.FAILED, "bake", 0.5, error=InvalidMesh("No."), device=Device("cpu", "", 1, 2)
)


def test_an_event_travels_as_data():
    again = JobEvent.from_dict(EVENT.to_dict())
    assert again.error.to_dict() == EVENT.error.to_dict()
    assert (again.job, again.state, again.stage, again.fraction) == (EVENT.job, State.FAILED, "bake", 0.5)
    assert again.device == EVENT.device


@pytest.mark.parametrize(
    "data",
    [
        3,
        None,
        [],
        {},
        EVENT.to_dict() | {"state": "unheard of"},
        EVENT.to_dict() | {"state": []},
        EVENT.to_dict() | {"fraction": "half"},
        EVENT.to_dict() | {"fraction": 10**400},
        EVENT.to_dict() | {"error": "a text"},
        EVENT.to_dict() | {"device": {"name": "cpu", "speed": 1}},
        EVENT.to_dict() | {"device": [1]},
    ],
)
def test_anything_else_is_refused_in_a_sentence(data):
    with pytest.raises(ProtocolError, match="cannot be read"):
        JobEvent.from_dict(data)
