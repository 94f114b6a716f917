"""A real Blender window on a virtual screen, with a mouse and a keyboard.

The window is that of a Linux distribution's Blender in a chroot, so the tests run as root on Linux. To make
one from Debian 13, with Blender 4.3 (2 GB, about two minutes; apt's sources list this machine's mirror):

    apt-get install debootstrap
    debootstrap --variant=minbase --include=ca-certificates trixie /srv/trixie MIRROR
    cp /etc/resolv.conf /srv/trixie/etc/
    mount -t proc proc /srv/trixie/proc; mount -t sysfs sys /srv/trixie/sys; mount --bind /dev /srv/trixie/dev
    chroot /srv/trixie apt-get update
    chroot /srv/trixie apt-get install -y --no-install-recommends blender xvfb xdotool imagemagick \\
        x11-utils xauth \\
        libgl1-mesa-dri libegl1 libegl-mesa0 python3-numpy

Debian's unstable distribution, ``sid`` in place of ``trixie``, had Blender 5.2 in November 2026. It needs
``python3-cattr`` and ``python3-requests`` too and, where the mirror lags behind, ``apt-get -o
Acquire::Check-Valid-Until=false update``. Debian leaves out the brushes; for the test that paints with one,
copy the folder ``5.2/datafiles/assets`` of Blender as a module (``pip download bpy``) to
``/srv/sid/usr/share/blender/datafiles``.

Then, with one folder or several, separated as in PATH:

    ORBIT_TEXTURE_CHROOT=/srv/trixie:/srv/sid python3 install.py test -k 'window or repository'

Screenshots of every step are written to ``$ORBIT_TEXTURE_SCREENSHOTS``, if that is set, in a folder for each
chroot.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from backend.api import paths
from installer import extension

DISPLAY = f":{100 + os.getpid() % 900}"
"""The number of a display that no other run uses, so that two runs can share a chroot."""

SCREEN = (1280, 800)


def draw_blocks(size: int = 400) -> np.ndarray:
    """(size, size, 3) uint8: a block seen from above one of its corners, before grey. Its outline is far from
    any of Suzanne's."""
    image = np.full((size, size, 3), 205, np.uint8)
    middle, rim = (
        np.array((0.5, 0.45)),
        [(0.5, 0.15), (0.85, 0.3), (0.8, 0.7), (0.5, 0.9), (0.2, 0.7), (0.15, 0.3)],
    )
    for first, color in ((0, (60, 160, 60)), (2, (180, 90, 40)), (4, (50, 70, 190))):
        corners = [middle, rim[first - 1], rim[first], rim[first + 1]]
        cv2.fillConvexPoly(image, np.round(size * np.array(corners)).astype(np.int32), color, cv2.LINE_AA)
    return image


class Window:
    """Blender in the chroot, whose state is read from the file that in_window.py writes."""

    def __init__(self, chroot: Path, scratch: Path):
        self.chroot, self.scratch = chroot, scratch
        self.state_file = scratch / "state.json"
        self.processes: list[subprocess.Popen] = []
        wanted = os.environ.get("ORBIT_TEXTURE_SCREENSHOTS")
        self.screenshots = Path(wanted) / chroot.name if wanted else None

    def build(self) -> Path:
        """Builds the add-on's zip with this Blender's own tool, and a home folder with the backend."""
        home = self.scratch / "home"
        home.mkdir()
        (home / "environment").symlink_to(sys.prefix, target_is_directory=True)
        tree = extension.assemble_tree(
            self.scratch / "staged", extension.download_wheels(paths.home() / "wheels")
        )
        package = self.scratch / f"orbit_texture-{paths.VERSION}.zip"
        self.run(
            "--command", "extension", "build", "--source-dir", str(tree), "--output-dir", str(self.scratch)
        )
        self.run("--command", "extension", "validate", str(package))
        return package

    def install(self) -> None:
        """Installs and enables the add-on before the window is opened."""
        self.run(
            "--command", "extension", "install-file", "-r", "user_default", "--enable", str(self.build())
        )

    def run(self, *arguments: str) -> None:
        """Runs Blender without a window until it ends, and checks that it succeeded."""
        assert self._blender(*arguments).wait() == 0, (self.scratch / "blender.log").read_text(
            encoding="utf-8"
        )

    def start(self) -> None:
        """Renders the demo's reference, a copy in other colours, one on grey and an image of
        another object, and opens the window with an untextured Suzanne."""
        examples = paths.ROOT / "docs" / "examples"
        self.run(
            "--background",
            "--python-exit-code",
            "1",
            "--python-expr",
            f"import sys; sys.path.insert(0, {str(examples)!r}); import demo_scene, pathlib; "
            f"demo_scene.render_reference(pathlib.Path({str(self.scratch)!r}), size=512)",
        )
        self.processes.append(
            subprocess.Popen(
                [
                    "chroot",
                    str(self.chroot),
                    "Xvfb",
                    DISPLAY,
                    "-screen",
                    "0",
                    f"{SCREEN[0]}x{SCREEN[1]}x24",
                    "-nolisten",
                    "tcp",
                ],
                stderr=subprocess.DEVNULL,
            )
        )
        reference = cv2.imread(str(self.scratch / "reference.png"), cv2.IMREAD_UNCHANGED)
        alpha = reference[..., 3:] / 255
        on_grey = reference[..., :3] * alpha + 200 * (1 - alpha)
        cv2.imwrite(str(self.scratch / "opaque.png"), np.round(on_grey).astype(np.uint8))
        cv2.imwrite(str(self.scratch / "other_object.png"), draw_blocks())
        cv2.imwrite(str(self.scratch / "other.png"), reference[..., [2, 0, 1, *range(3, reference.shape[2])]])
        self.open()

    def open(self, *file: str) -> None:
        """Opens the window with Blender's factory settings or with a file."""
        self.state_file.unlink(missing_ok=True)
        script = Path(__file__).with_name("in_window.py")
        self.processes.append(
            self._blender(
                "-p", "0", "0", *map(str, SCREEN), *file, "--python", str(script), "--", str(self.state_file)
            )
        )

    def quit(self, x: int, y: int) -> None:
        """Quits Blender with the keyboard, the mouse at a place in the viewport."""
        self.press("ctrl+q", x, y)
        assert self.processes.pop().wait(60) == 0

    def wait(self, condition, seconds: float) -> dict:
        """The first state that meets the condition."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if condition(state := json.loads(self.state_file.read_text(encoding="utf-8"))):
                    return state
            assert self.processes[-1].poll() is None, "Blender ended"
            time.sleep(0.1)
        raise AssertionError(
            f"nothing after {seconds} s; the last state is {self.state_file.read_text(encoding='utf-8')}"
        )

    def click(self, x: int, y: int) -> None:
        """Moves the mouse to a place on the screen (y down) and presses its left button."""
        self._point(x, y)
        self._in_screen("xdotool", "click", "1")

    def scroll(self, steps: int, x: int, y: int) -> None:
        """Turns the mouse's wheel down, with the mouse at a place."""
        self._point(x, y)
        for _ in range(steps):
            self._in_screen("xdotool", "click", "5")
            self.settle(0.1)

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Moves the mouse from one place to another with its left button pressed."""
        self._point(*start)
        self._in_screen("xdotool", "mousedown", "1")
        steps = max(abs(end[0] - start[0]), abs(end[1] - start[1])) // 20
        for step in range(1, steps + 1):
            x, y = (round(a + (b - a) * step / steps) for a, b in zip(start, end, strict=True))
            self._in_screen("xdotool", "mousemove", str(x), str(y))
            time.sleep(0.3)
        self._in_screen("xdotool", "mouseup", "1")

    def press(self, key: str, x: int, y: int) -> None:
        """Presses a key, ``ctrl+z``, with the mouse at a place."""
        self._point(x, y)
        self._in_screen("xdotool", "key", key)

    def drop(self, file: Path, x: int, y: int) -> None:
        """Drops a file at a place in the viewport, as Blender would handle it."""
        self._point(x, y)
        self.do(f"drop({str(file)!r})")

    def drop_all(self, files: list[Path], x: int, y: int) -> None:
        """Drops several files of one folder at once."""
        self._point(x, y)
        self.do(f"drop_all({str(files[0].parent)!r}, {[file.name for file in files]!r})")

    def render_sides(self) -> list[Path]:
        """Renders the demo's painted Suzanne from the front, the back and her left."""
        examples, sides = paths.ROOT / "docs" / "examples", {"front": 0, "back": 180, "left": 90}
        files = [self.scratch / f"suzanne.{side}.png" for side in sides]
        script = self.scratch / "render_sides.py"
        script.write_text(
            f"import sys; sys.path.insert(0, {str(examples)!r})\n"
            f"import pathlib, demo_scene\n"
            f"folder = pathlib.Path({str(self.scratch)!r})\n"
            f"demo_scene.render_reference(folder, size=64)\n"
            f"for side, azimuth in {sides!r}.items():\n"
            f"    demo_scene.add_camera(azimuth, 8)\n"
            f"    path = folder / ('suzanne.' + side + '.png')\n"
            f"    demo_scene.save_image(path, demo_scene.render(path, 512, 10))\n",
            encoding="utf-8",
        )
        self.run("--background", "--python-exit-code", "1", "--python", str(script))
        return files

    def do(self, line: str) -> None:
        """Runs a line of Python inside the window, for what a mouse cannot do here."""
        (self.scratch / "order.new").write_text(line, encoding="utf-8")
        (self.scratch / "order.new").rename(self.scratch / "order.py")
        deadline = time.monotonic() + 30
        while (self.scratch / "order.py").exists():
            assert time.monotonic() < deadline, "the window does not listen"
            time.sleep(0.1)

    def type(self, words: str) -> None:
        """Types words where the mouse is, and Return once Blender has had time to search for them."""
        self.settle(1.0)
        self._in_screen("xdotool", "type", "--delay", "100", words)
        self.settle(2.0)
        self._in_screen("xdotool", "key", "Return")

    def settle(self, seconds: float = 3.0) -> None:
        """Waits for some seconds, and until Blender has handled events, timers and drawing three times, so
        that the window is up to date."""
        time.sleep(seconds)
        rounds = json.loads(self.state_file.read_text(encoding="utf-8"))["rounds"]
        self.wait(lambda state: state["rounds"] >= rounds + 3, 90)

    def screenshot(self, name: str) -> None:
        """Takes a screenshot if ``$ORBIT_TEXTURE_SCREENSHOTS`` is set."""
        if self.screenshots:
            self.screenshots.mkdir(parents=True, exist_ok=True)
            self.settle()
            self._in_screen("import", "-window", "root", "-quality", "85", f"/tmp/{name}.jpg")
            shutil.move(self.chroot / "tmp" / f"{name}.jpg", self.screenshots / f"{name}.jpg")

    def close(self) -> None:
        for process in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM) if os.getpgid(
                    process.pid
                ) == process.pid else process.terminate()
            process.wait(20)
        with contextlib.suppress(OSError, ValueError):
            server = json.loads(
                (self.scratch / "home" / "run" / "connection.json").read_text(encoding="utf-8")
            )
            os.kill(server["pid"], signal.SIGTERM)

    def _point(self, x: int, y: int) -> None:
        """Moves the mouse while Blender is idle: under load, Blender drops events that arrive faster than it
        handles them."""
        self.settle(0.1)
        self._in_screen("xdotool", "mousemove", str(x), str(y))
        self.settle(0.7)

    def _in_screen(self, *command: str) -> None:
        subprocess.run(["chroot", str(self.chroot), "env", f"DISPLAY={DISPLAY}", *command], check=True)

    def _blender(self, *arguments: str) -> subprocess.Popen:
        """Starts Blender in the chroot, where the tree, the backend's environment and the scratch folder have
        the same paths as here."""
        # Bind mounts in a mount namespace of its own, so that nothing stays mounted.
        shared = dict.fromkeys(map(str, (paths.ROOT, sys.prefix, sys.base_prefix, self.scratch)))
        for folder in shared:
            (self.chroot / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
        binds = "; ".join(f"mount --bind '{folder}' '{self.chroot}{folder}'" for folder in shared)
        environment = [
            "PATH=/usr/bin:/bin",
            "HOME=/tmp",
            "LANG=C.UTF-8",
            f"DISPLAY={DISPLAY}",
            "LIBGL_ALWAYS_SOFTWARE=1",
            f"BLENDER_USER_RESOURCES={self.scratch / 'blender'}",
            f"ORBIT_TEXTURE_HOME={self.scratch / 'home'}",
        ]
        log = (self.scratch / "blender.log").open("ab")
        return subprocess.Popen(
            [
                "unshare",
                "--mount",
                "sh",
                "-ec",
                f'{binds}; exec chroot "$@"',
                "sh",
                str(self.chroot),
                "env",
                "-i",
                *environment,
                "blender",
                *arguments,
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


CHROOTS = [Path(folder) for folder in os.environ.get("ORBIT_TEXTURE_CHROOT", "").split(os.pathsep) if folder]
NONE = pytest.param(
    None,
    id="none",
    marks=pytest.mark.skip(
        reason=(
            "ORBIT_TEXTURE_CHROOT names no chroot with a Blender; tests/gui/conftest.py says how to make one"
        )
    ),
)


@pytest.fixture(params=[pytest.param(chroot, id=chroot.name) for chroot in CHROOTS] or [NONE])
def window(request, tmp_path):
    window = Window(request.param, tmp_path)
    yield window
    window.close()
