"""What an artist does, with mouse and keyboard, in a real window of Blender."""

# Where things are in Blender 4.3's default layout at 1280 x 800, y down. If a click misses, look at the pictures.
TAB = (1043, 268)
TEXTURE_SELECTED = (900, 291)
VIEWPORT = (300, 600)


def test_a_click_on_texture_selected_gives_a_take_and_ctrl_z_takes_it_back(window):
    window.start()
    window.wait(lambda state: state["sidebar"][2] > 1, 90)
    window.click(*TAB)
    window.picture("1-panel")

    window.click(*TEXTURE_SELECTED)
    window.wait(lambda state: state["jobs"] and state["jobs"][0]["stage"] == "paint", 60)
    window.picture("2-working")
    done = window.wait(lambda state: state["jobs"][0]["applied"] or state["jobs"][0]["error"], 180)
    window.picture("3-take")
    assert done["jobs"][0]["error"] == ""
    assert (done["takes"], done["uv_layers"]) == ([1], [1])

    window.press("ctrl+z", *VIEWPORT)
    window.wait(lambda state: (state["takes"], state["uv_layers"]) == ([0], [0]), 20)
    window.picture("4-undone")
