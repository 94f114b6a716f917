"""What an artist does, with mouse and keyboard, in a real window of Blender."""

from pathlib import Path

# Where things are in Blender 4.3's default layout at 1280 x 800, y down. If a click misses, look at the pictures.
TAB = (1043, 268)
TEXTURE_SELECTED = (900, 310)
CANCEL = (1008, 342)
VIEWPORT = (300, 600)
SUZANNE = (550, 270)
PICTURE = (150, 560)  # while pins are added
CONFIDENCE = (900, 541)


def test_texture_selected_then_cancel_then_again_by_f3_then_the_confidence_then_ctrl_z(window):
    window.install()
    window.start()
    window.wait(lambda state: state["tab"] == "Item", 90)
    window.wait(lambda state: window.click(*TAB) or state["tab"] == "Orbit Texture", 20)
    window.picture("1-panel")

    window.drop(*SUZANNE)
    window.wait(lambda state: state["references"] == ["dropped.png"], 10)

    window.click(*TEXTURE_SELECTED)
    window.wait(lambda state: state["jobs"] and state["jobs"][-1]["stage"] == "paint", 90)
    window.picture("2-working")
    window.click(*CANCEL)
    window.wait(lambda state: state["jobs"][-1]["state"] == "cancelled", 10)
    window.picture("3-cancelled")

    window.press("F3", *VIEWPORT)
    window.type("Texture Selected")
    window.wait(lambda state: state["jobs"][-1]["pictures"] == 8, 120)
    window.picture("4-painting")
    window.wait(lambda state: state["jobs"][-1]["applied"], 180)
    window.wait(lambda state: (state["takes"], state["uv_layers"]) == ([1], [1]), 5)
    window.picture("5-take")

    window.click(*CONFIDENCE)
    window.wait(lambda state: state["overlay"] == "CONFIDENCE", 5)
    window.picture("6-confidence")

    window.press("ctrl+z", *VIEWPORT)
    window.wait(lambda state: (state["takes"], state["uv_layers"]) == ([0], [0]), 20)
    window.picture("7-undone")


def test_the_preferences_check_the_installation_and_blender_stays_free(window):
    window.install()
    window.start()
    window.wait(lambda state: state["tab"] == "Item", 90)
    (window.scratch / "preferences").touch()
    window.wait(lambda state: "backend" in state["findings"], 90)
    window.picture("preferences")


def test_pins_are_clicked_on_the_mesh_and_in_the_picture(window):
    window.install()
    window.start()
    window.wait(lambda state: state["tab"] == "Item", 90)
    (window.scratch / "pins").touch()
    window.wait(lambda state: state["view"] == "PINS", 10)
    for count in (1, 2):
        window.click(*PICTURE)  # without a point on the mesh it is none
        window.click(*SUZANNE)
        window.click(PICTURE[0] + 20 * count, PICTURE[1])
        state = window.wait(lambda state, count=count: len(state["pins"][0]) == count, 20)
    window.picture("pins")
    assert state["pins"][0][0][0] < state["pins"][0][1][0] < 1
    window.press("Escape", *VIEWPORT)
    window.press("ctrl+z", *VIEWPORT)
    window.wait(lambda state: state["pins"] == [[]], 20)


def test_sentences_that_are_put_together_are_translated(window):
    window.install()
    window.run("--background", "--python-exit-code", "1", "--python", str(Path(__file__).with_name("in_german.py")))
