"""An ffmpeg on a machine with a graphics card, as far as a program can be one: the processor does what the card would.

It takes what nemod says to NVENC, VA-API and the others, refuses what those refuse, and has x264 or x265 make the picture with
what is odd in hardware: rates that are missed, drivers that fail, pictures that are green.
"""

import stat
import sys
from pathlib import Path

from tests.support.clips import ffmpeg

_PROGRAM = """#!{python}
import os, sys
argv, real, habit = sys.argv[1:], {real!r}, {habit!r}
name = argv[argv.index("-c:v") + 1] if "-c:v" in argv else ""
codec, _, kind = name.partition("_")
trial = "file:/dev/zero" in argv
if kind in ("nvenc", "qsv", "vaapi", "amf", "videotoolbox"):
    with open({calls!r}, "a") as calls:
        print(name, "trial" if trial else "video", file=calls)
    if habit == "absent" or habit.startswith("only:") and habit[5:] != kind or habit == "fails" and not trial:
        sys.exit("[" + name + " @ 0x1] Cannot open the device")
    if kind == "vaapi" and ("-vaapi_device" not in argv or "hwupload" not in argv[argv.index("-vf") + 1]):
        sys.exit("no device, or pictures that are not on it")
    if "-crf" in argv or "-pass" in argv or "-b:v" not in argv:
        sys.exit("hardware knows rates only")
    argv = [word for word in argv if not word.startswith("/dev/dri/") and word != "-vaapi_device"]
    for option in ("-preset", "-tune", "-rc", "-multipass", "-usage", "-quality", "-allow_sw", "-realtime"):
        if option in argv:
            del argv[argv.index(option) : argv.index(option) + 2]
    chain = argv.index("-vf") + 1
    argv[chain] = argv[chain].replace(",hwupload", "").replace("format=nv12", "format=yuv420p")
    rate, share = argv.index("-b:v") + 1, 1.0
    if habit.startswith("misses:"):
        share = float(habit[7:])
    if habit == "ignores":
        argv[rate - 1 : rate + 1] = ["-crf", "12"]
        del argv[argv.index("-maxrate") : argv.index("-maxrate") + 4]
    else:
        argv[rate] = str(int(int(argv[rate]) * share))
        if "-maxrate" in argv:
            argv[argv.index("-maxrate") + 1] = str(int(3 * share * int(argv[rate])))
    if habit == "green":
        argv[chain] += ",drawbox=color=green:t=fill"
    if habit == "stops":
        argv[chain] += ",trim=end=1"
    argv[argv.index("-c:v") + 1] = {{"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1"}}[codec]
    argv[1:1] = ["-loglevel", "error"]
os.execv(real, [real, *argv])
"""


def with_hardware(folder: Path, habit: str = "works") -> Path:
    """Such a program in a folder, which keeps account of its calls in `calls` beside it.

    Habits: works, absent, fails (on videos), only:KIND, misses:1.3 (of each rate), ignores (rates), green (all of it),
    stops (after a second).
    """
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "ffmpeg"
    text = _PROGRAM.format(python=sys.executable, real=str(ffmpeg()), habit=habit, calls=str(folder / "calls"))
    program.write_text(text, encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def calls(program: Path) -> list[str]:
    """What it was asked for in hardware, one line each: `h264_nvenc video`."""
    kept = program.with_name("calls")
    return kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
