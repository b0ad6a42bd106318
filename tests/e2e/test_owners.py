"""`umask`, `owner` and `group`: to whom outputs, reasons and new folders belong, and what stays as it is."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from nemod.job import JobState
from tests.support.daemon import Machine, every

#: What fails at once: it has an end, so nobody waits for more.
NO_VIDEO = "once upon a time"
GROUP, USER = 4321, 4320


def mode(path: Path) -> int:
    """A path's permissions."""
    return stat.S_IMODE(path.lstat().st_mode)


def belongs(path: Path) -> tuple[int, int]:
    """Whose a path is: user and group."""
    return path.lstat().st_uid, path.lstat().st_gid


def settings(own: Machine, *lines: str) -> None:
    """Put lines into the `[nemod]` table."""
    own.configure(own.config.read_text().replace("[nemod]\n", "\n".join(["[nemod]", *lines, ""])))


def test_what_is_made_for_people_has_the_umask_and_what_is_private_stays_private(own: Machine, tiny: Path) -> None:
    """Outputs, sub-folders, originals' folders and reasons; not the originals, and not the state."""
    inbox = own.folder("in", "recursive = true")
    settings(own, 'umask = "002"')
    inbox.chmod(0o750)
    (inbox / "trip").mkdir()
    source = inbox / "trip" / "a.mp4"
    shutil.copy(tiny, source)
    source.chmod(0o640)
    (inbox / "bad.mp4").write_text(NO_VIDEO)
    own.start("sh", "-c", 'umask 077; exec "$@"', "sh")
    output = own.delivered("trip/a.mp4")
    own.wait_for(JobState.FAILED, "bad.mp4")
    own.stop()
    assert mode(output) == 0o664
    for folder in (output.parent, inbox / "done", inbox / "originals", inbox / "originals" / "trip", inbox / "failed"):
        assert mode(folder) == 0o775, folder
    assert mode(inbox / "originals" / "trip" / "a.mp4") == 0o640
    assert mode(inbox / "failed" / "bad.mp4.failed.txt") == 0o664
    assert mode(inbox) == 0o750, "it was there before"
    assert mode(own.state) == 0o700
    assert [path for path in every(own.state) if mode(path) & 0o077] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_is_made_for_people_is_given_to_its_owner(own: Machine, tiny: Path) -> None:
    """Outputs, reasons and new folders alone: what was there before and what is private keep theirs."""
    inbox = own.folder("in", "recursive = true")
    settings(own, f"owner = {USER}", f'group = "{GROUP}"')
    (inbox / "trip").mkdir()
    (inbox / "done").mkdir()
    shutil.copy(tiny, inbox / "trip" / "a.mp4")
    (inbox / "bad.mp4").write_text(NO_VIDEO)
    own.start()
    output = own.delivered("trip/a.mp4")
    own.wait_for(JobState.FAILED, "bad.mp4")
    own.stop()
    mine, given = belongs(own.home), (USER, GROUP)
    for path in (output, output.parent, inbox / "originals", inbox / "originals" / "trip", inbox / "failed"):
        assert belongs(path) == given, path
    assert belongs(inbox / "failed" / "bad.mp4.failed.txt") == given
    for path in (inbox, inbox / "done", inbox / "trip", inbox / "originals" / "trip" / "a.mp4", inbox / "failed" / "bad.mp4"):
        assert belongs(path) == mine, path
    assert {belongs(path) for path in (own.state, *every(own.state))} == {mine}
    assert own.count("output.owner") == 0


def test_what_the_system_refuses_is_said_once_and_everything_is_delivered(own: Machine, tiny: Path) -> None:
    """A daemon without the right to give files away delivers them as its own; the check of the config knows it before."""
    inbox = own.folder("in")
    settings(own, f"owner = {USER}", f"group = {GROUP}")
    for name in ("a", "b"):
        shutil.copy(tiny, inbox / f"{name}.mp4")
    powerless = ("setpriv", "--bounding-set", "-chown", "--inh-caps", "-chown") if os.geteuid() == 0 else ()
    if powerless and shutil.which("setpriv") is None:
        pytest.skip("root can be bound by setpriv only, which is not installed")
    own.start(*powerless)
    outputs = [own.delivered(f"{name}.mp4") for name in ("a", "b")]
    assert {belongs(output) for output in outputs} == {belongs(own.home)}
    assert own.count("output.owner") == 2, "once for the user, once for the group"
    own.stop()
    checked = own.nemod("config", "check", via=powerless)
    assert checked.returncode == 2
    assert f"only the superuser may give files to user {USER}" in checked.stderr
