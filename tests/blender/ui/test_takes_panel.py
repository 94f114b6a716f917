"""What the panel says about a take."""

import json
from types import SimpleNamespace

import pytest
from bl_ext.user_default.orbit_texture.addon.ui.takes_panel import TakesPanel

from tests.blender import make
from tests.blender.layout import Context, Layout


@pytest.mark.parametrize("doubtful", [True, False])
def test_a_take_from_a_doubtful_view_says_so(doubtful):
    obj = make.cube()
    make.apply(obj)
    take = obj.orbit_texture.takes[-1]
    take.report = json.dumps({"doubtful": doubtful, "doubts": ["Which side …"]})
    layout = Layout()
    TakesPanel.draw(SimpleNamespace(layout=layout), Context())
    assert ("Which side …" in layout.text) == doubtful
    assert "Mesh untouched" in layout.text
