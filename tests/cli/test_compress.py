"""`nemod compress` and `nemod check` on real files."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import av
import pytest

from nemod.cli.exits import ExitCode
from tests.cli.machine import PATIENCE_S, Home, Ran
from tests.support.clips import clip, make_clip

KEYS = {
    *("source", "output", "outputs", "input_bytes", "output_bytes", "limit_bytes", "engine", "verdict", "seconds", "failure"),
    *("quality", "note"),
}


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_each_file_gets_its_line_whatever_became_of_the_others(home: Home) -> None:
    """A video is encoded, a text fails with its reason, a finished video passes; sources stay as they were."""
    shutil.copy(clip("bear_odd.webm"), home.path / "bear.webm")
    (home.path / "text.mp4").write_text("once upon a time")
    (home.path / "empty.mp4").touch()
    ran = home.nemod("compress", "bear.webm", "text.mp4", "empty.mp4", "--preset", "discord", "--json")
    assert ran.code == ExitCode.FAILED
    bear, text, empty = (json.loads(line) for line in ran.out.splitlines())
    assert set(bear) == set(text) == set(empty) == KEYS
    output = home.path / "bear-discord.mp4"
    assert bear["verdict"] == "encoded"
    assert (bear["source"], bear["output"]) == (str(home.path / "bear.webm"), str(output))
    shown = {"path": str(output), "bytes": output.stat().st_size, "start_s": 0.0, "end_s": pytest.approx(1.0, abs=0.1)}
    assert (bear["outputs"], text["outputs"], bear["quality"]) == ([shown], [], None)
    assert bear["output_bytes"] == output.stat().st_size <= bear["limit_bytes"] == 20_000_000
    assert bear["input_bytes"] == (home.path / "bear.webm").stat().st_size
    assert (text["verdict"], text["output"], text["failure"]["kind"]) == ("failed", None, "unsupported")
    assert (empty["verdict"], empty["failure"]["kind"]) == ("failed", "incomplete")
    assert "text.mp4: " in ran.err
    assert names(home.path) == ["bear-discord.mp4", "bear.webm", "empty.mp4", "text.mp4"]

    passed = json.loads(home.nemod("compress", output, "--preset", "discord", "--json").out)
    assert passed["verdict"] == "passed"
    assert Path(passed["output"]).read_bytes() == output.read_bytes()


def test_a_limit_alone_names_and_bounds_the_output_and_nothing_is_overwritten(home: Home) -> None:
    """A second run finds the name taken and takes the next one."""
    make_clip(home.path / "clip.mkv", seconds=2)
    for name in ("clip-50KB.mp4", "clip-50KB (2).mp4"):
        ran = home.nemod("compress", "clip.mkv", "--limit", "50KB")
        assert ran.code == ExitCode.OK
        assert f"clip.mkv -> {name}" in ran.out
        assert 0 < (home.path / name).stat().st_size <= 50_000


def test_a_part_of_a_video_keeps_its_name_and_tells_its_times(home: Home) -> None:
    """From one time to another, or with one of them alone; a start behind the end of the video fails with its length."""
    make_clip(home.path / "clip.mkv", seconds=3)
    wishes = {("--start", "0:01", "--end", "2.5s"): (1.0, 2.5), ("--start", "2"): (2.0, 3.0), ("--end", "0:01.5"): (0.0, 1.5)}
    for wish, (start, end) in wishes.items():
        done = json.loads(home.nemod("compress", "clip.mkv", "-p", "discord", *wish, "--json").out)
        (output,) = done["outputs"]
        assert Path(output["path"]).name.startswith("clip-discord")
        assert (output["start_s"], output["end_s"]) == pytest.approx((start, end), abs=0.05)
        assert done["verdict"] == "encoded"
        with av.open(output["path"]) as made:
            assert made.duration is not None
            assert made.duration / av.time_base == pytest.approx(end - start, abs=0.1)
    ran = home.nemod("compress", "clip.mkv", "--limit", "1MB", "--start", "0:01")
    assert "clip-1MB.mp4  (0:01 to 0:03, " in ran.out
    ran = home.nemod("compress", "clip.mkv", "-p", "discord", "--start", "1:00", "--json")
    assert ran.code == ExitCode.FAILED
    assert "3.0 s long" in json.loads(ran.out)["failure"]["detail"]


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (("--start", "soon"), '"soon" is not a time in a video'),
        (("--end", "1:99"), "--end"),
        (("--start", "0:10", "--end", "0:10"), "does not come after the start at 0:10"),
        (("--end", "0"), "does not come after the start."),
    ],
)
def test_a_part_that_makes_no_sense_is_a_usage_error_with_a_hint(home: Home, wish: tuple[str, ...], says: str) -> None:
    """Said before any file is touched."""
    make_clip(home.path / "clip.mkv", seconds=0.2)
    ran = home.nemod("compress", "clip.mkv", "-p", "discord", *wish)
    assert ran.code == ExitCode.USAGE
    assert says in ran.err
    assert "0:10" in ran.err
    assert names(home.path) == ["clip.mkv"]


def test_what_does_not_fit_is_split_or_trimmed_and_told(home: Home) -> None:
    """As a preset wishes: every part with its times, in words and in JSON; the first one is the output."""
    home.configure(
        '[presets.parts]\nlimit = "30KB"\non_impossible = "split"\nspeed = "fast"\n'
        '[presets.first]\nlimit = "30KB"\non_impossible = "trim"\nspeed = "fast"\n'
    )
    make_clip(home.path / "clip.mkv", seconds=7, size=(64, 64))
    split = json.loads(home.nemod("compress", "clip.mkv", "-p", "parts", "--json").out)
    count = len(split["outputs"])
    assert [Path(one["path"]).name for one in split["outputs"]] == [
        f"clip-parts part {n} of {count}.mp4" for n in range(1, count + 1)
    ]
    assert (split["output"], split["output_bytes"]) == (split["outputs"][0]["path"], sum(o["bytes"] for o in split["outputs"]))
    assert all(Path(one["path"]).stat().st_size == one["bytes"] <= 30_000 for one in split["outputs"])
    assert [one["end_s"] for one in split["outputs"][:-1]] == [one["start_s"] for one in split["outputs"][1:]]
    ran = home.nemod("compress", "clip.mkv", "-p", "parts")
    assert f"in {count} parts" in ran.out
    assert f"clip-parts (2) part {count} of {count}.mp4  (" in ran.out
    trimmed = json.loads(home.nemod("compress", "clip.mkv", "-p", "first", "--json").out)
    (output,) = trimmed["outputs"]
    assert (Path(output["path"]).name, output["start_s"]) == ("clip-first.mp4", 0.0)
    assert 1 < output["end_s"] < 7


def test_odd_names_links_and_a_name_of_ones_own(home: Home) -> None:
    """A leading dash, a newline, bytes that are not UTF-8, a link, and a chosen output all work; JSON carries the bytes."""
    odd = os.fsdecode(b"-odd\n\xff \xf0\x9f\x90\xbb.webm")
    shutil.copy(clip("bear_odd.webm"), home.path / odd)
    (home.path / "link.webm").symlink_to(odd)
    ran = home.nemod("compress", "--preset", "discord", "--json", "--", odd, "link.webm")
    assert ran.code == ExitCode.OK
    assert [json.loads(line)["output"] for line in ran.out.splitlines()] == [
        str(home.path / f"{Path(odd).stem}-discord.mp4"),
        str(home.path / "link-discord.mp4"),
    ]
    out = home.path / "out"
    out.mkdir()
    ran = home.nemod("compress", "-p", "discord", "-o", "out/{bear}.mp4", "--", odd)
    assert ran.code == ExitCode.OK
    assert r"-odd\n\xff" in ran.out
    assert names(out) == ["{bear}.mp4"]


def test_a_long_name_stays_within_what_a_file_system_takes(home: Home) -> None:
    """255 bytes of name are cut, not refused."""
    long = "é" * 125 + ".webm"
    shutil.copy(clip("bear_odd.webm"), home.path / long)
    ran = home.nemod("compress", long, "-p", "discord", "--json")
    assert ran.code == ExitCode.OK
    assert len(os.fsencode(Path(json.loads(ran.out)["output"]).name)) <= 255


def test_a_broken_ffmpeg_is_told_and_leaves_nothing(home: Home) -> None:
    """The config's ffmpeg is used, and what is wrong with it is said with what to do."""
    home.configure('[nemod]\nffmpeg = "/no/such/ffmpeg"\n')
    shutil.copy(clip("bear_odd.webm"), home.path / "bear.webm")
    ran = home.nemod("compress", "bear.webm", "-p", "discord", "--json")
    assert ran.code == ExitCode.FAILED
    assert json.loads(ran.out)["failure"]["kind"] == "tool_missing"
    assert "/no/such/ffmpeg" in ran.err
    assert not list(home.path.glob("*.mp4"))


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_shows_progress_and_data_stays_data(home: Home, no_color: str) -> None:
    """The bar is drawn on standard error alone, standard output is JSON, and NO_COLOR is heard."""
    shutil.copy(clip("stream-of-water.mp4"), home.path / "water.mp4")
    argv = [sys.executable, "-m", "nemod", "compress", "water.mp4", "--limit", "100KB", "--json"]
    env = home.env(TERM="xterm-256color", COLUMNS="100", NO_COLOR=no_color)
    ours, theirs = pty.openpty()
    with subprocess.Popen(argv, env=env, cwd=home.path, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        drawn = b""
        with suppress(OSError):  # EIO: the terminal has no other end any more
            while chunk := os.read(ours, 65536):
                drawn += chunk
        os.close(ours)
        assert process.stdout is not None
        assert json.loads(process.stdout.read())["verdict"] == "encoded"
    assert b"water.mp4" in drawn
    assert b" %" in drawn
    assert drawn.rstrip(b"\r\n").endswith(b"\x1b[2K\x1b[?25h")  # the line is taken away again, and the cursor is there
    assert (b"\x1b[38;5;" in drawn) is (not no_color)


def test_an_interrupted_run_leaves_nothing(home: Home, long_clip: Path) -> None:
    """SIGTERM ends it with 130, and nothing half done lies beside the source."""
    shutil.copy(long_clip, home.path / "long.mkv")
    argv = [sys.executable, "-m", "nemod", "compress", "long.mkv", "--limit", "1MB", "--verbose"]
    with subprocess.Popen(argv, env=home.env(), cwd=home.path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:  # examined: the encoder starts
            if "job.examined" in line:
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == ExitCode.INTERRUPTED
        assert "Traceback" not in process.stderr.read()
    assert names(home.path) == ["long.mkv"]


def test_what_a_killed_run_has_left_is_removed_by_the_next_one(home: Home, long_clip: Path) -> None:
    """A state folder whose holder is dead goes at once; one that is held, and whatever else is called so, stays."""
    shutil.copy(long_clip, home.path / "long.mkv")
    shutil.copy(clip("bear_odd.webm"), home.path / "bear.webm")
    temporary = home.path / "tmp"
    (temporary / "nemod-notes123").mkdir(parents=True, mode=0o700)
    (temporary / "nemod-notes123" / "mine.txt").touch()
    env = {**home.env(), "TMPDIR": str(temporary)}
    begin = [sys.executable, "-m", "nemod", "compress"]
    for ends in (signal.SIGKILL, signal.SIGTERM):
        with subprocess.Popen(
            [*begin, "long.mkv", "--limit", "1MB", "--verbose"], env=env, cwd=home.path, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            assert any("job.examined" in line for line in process.stderr)
            if ends is signal.SIGKILL:
                beside = subprocess.run([*begin, "bear.webm", "--limit", "9MB"], env=env, cwd=home.path, check=False)
                assert beside.returncode == ExitCode.OK
                assert len(names(temporary)) == 2, "the one at work keeps its folder"
            process.send_signal(ends)
            process.stderr.read()
        left = ["nemod-notes123"] if ends is not signal.SIGKILL else names(temporary)
        assert names(temporary) == left
        assert len(left) == 1 + (ends is signal.SIGKILL)
    assert ".nemod-work" not in names(home.path), "what it had begun beside the video goes as well"


def test_check_answers_with_reasons_and_exit_codes(home: Home, nemod: Callable[..., Ran]) -> None:
    """A WebM does not play inline everywhere, its compressed form does; a text is no video at all."""
    shutil.copy(clip("bear_odd.webm"), home.path / "bear.webm")
    (home.path / "text.mp4").write_text("once upon a time")
    bad = nemod("check", "bear.webm", "--for", "discord", "--json")
    assert bad.code == ExitCode.FAILED
    answer = bad.json()
    assert (answer["ok"], answer["fits"], answer["plays_inline"]) == (False, True, False)
    assert "It is not an MP4." in answer["reasons"]
    home.nemod("compress", "bear.webm", "-p", "discord")
    good = nemod("check", "bear-discord.mp4", "--for", "discord", "--json")
    assert good.code == ExitCode.OK
    assert good.json()["reasons"] == []
    assert "bear-discord.mp4: yes, for jpeng-video" in nemod("check", "bear-discord.mp4", "--for", "jpeng-video").out
    assert nemod("check", "text.mp4", "--for", "discord").code == ExitCode.FAILED


def test_check_tells_how_good_a_file_is_beside_its_source(home: Home, nemod: Callable[..., Ran]) -> None:
    """With a preset or without, for people and for programs; the exit code is the answer about the preset."""
    shutil.copy(clip("bear_odd.webm"), home.path / "bear.webm")
    (home.path / "text.mp4").write_text("once upon a time")
    same = nemod("check", "bear.webm", "--for", "discord", "--quality", "bear.webm", "--json")
    assert same.code == ExitCode.FAILED
    assert same.json()["quality"]["vmaf_mean"] > 95
    assert set(same.json()["quality"]) == {"vmaf_mean", "vmaf_p5", "ssim", "frames"}
    alone = nemod("check", "bear.webm", "--quality", "bear.webm")
    assert alone.code == ExitCode.OK
    assert "bear.webm: VMAF " in alone.out
    for source, says in (("text.mp4", "not a video"), ("gone.mp4", "no longer there")):
        unread = nemod("check", "bear.webm", "--quality", source)
        assert unread.code == ExitCode.USAGE
        assert says in unread.err
