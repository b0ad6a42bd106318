"""Links in the place of folders: none is followed below a place of the config, and a folder that is held stays the folder."""

import os
import sys
from pathlib import Path

import pytest

from nemod.config.model import After
from nemod.delivery import way
from nemod.delivery.originals import Fate, dispose
from nemod.delivery.publish import PublishError, make_work, prepare_outbox, publish, work_folder
from nemod.failure import Kind
from nemod.intake.sidecar import instruction_for
from nemod.job import Fingerprint
from tests.delivery.conftest import Make


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names for folders that are open")
def test_a_folder_that_is_held_stays_what_it_is(tmp_path: Path) -> None:
    """Another folder takes its name meanwhile: what is made is made in the first one."""
    with way.made(tmp_path / "place" / "a" / "b", within=tmp_path / "place") as held:
        (tmp_path / "place" / "a").rename(tmp_path / "place" / "moved")
        (tmp_path / "place" / "a" / "b").mkdir(parents=True)
        (held / "clip.mp4").touch()
    assert (tmp_path / "place" / "moved" / "b" / "clip.mp4").exists()
    assert not any((tmp_path / "place" / "a" / "b").iterdir())


@pytest.mark.parametrize("after", [After.ARCHIVE, After.DELETE, After.TRASH])
def test_a_strangers_file_is_not_disposed_of(tmp_path: Path, make: Make, after: After) -> None:
    """Not even where its disk numbers files anew, so that name, size and time are all that is known of one."""
    seen = make(tmp_path / "stranger" / "clip.mov")
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "trip").symlink_to(tmp_path / "stranger")
    fingerprint = Fingerprint(size_bytes=seen.size_bytes, mtime_ns=seen.mtime_ns, inode=0)
    source = tmp_path / "inbox" / "trip" / "clip.mov"
    done = dispose(source, fingerprint, after=after, originals=tmp_path / "originals", relpath="trip/clip.mov")
    assert done.how is Fate.GONE
    assert (tmp_path / "stranger" / "clip.mov").exists()


def test_an_output_is_not_led_out_of_the_outbox(tmp_path: Path) -> None:
    """A link where its sub-folder should be holds the folder, and says what is in the way."""
    outbox, stranger = tmp_path / "done", tmp_path / "stranger"
    stranger.mkdir()
    prepare_outbox(outbox)
    staged = make_work(work_folder(outbox, 1, 1, "t")) / "out.mp4"
    staged.write_bytes(b"finished")
    (outbox / "trip").symlink_to(stranger)
    with pytest.raises(PublishError) as caught:
        publish(staged, outbox / "trip" / "clip.mp4")
    assert caught.value.failure.kind is Kind.NOT_WRITABLE
    assert "link" in caught.value.failure.detail
    assert not any(stranger.iterdir())


def test_a_place_may_be_a_link_of_ones_own(tmp_path: Path) -> None:
    """Who keeps the outbox on another disk may say so by a link; somebody else may not say it."""
    (tmp_path / "disk").mkdir()
    outbox = tmp_path / "done"
    outbox.symlink_to(tmp_path / "disk")
    prepare_outbox(outbox)
    if os.geteuid() != 0:
        pytest.skip("only the superuser can make a link that belongs to somebody else")
    os.lchown(outbox, 65534, 65534)
    with pytest.raises(PublishError) as caught:
        prepare_outbox(outbox)
    assert "belongs to somebody else" in caught.value.failure.detail


def test_a_strangers_words_are_not_read(tmp_path: Path) -> None:
    """What lies beside a file of the same name in a folder that a link leads to is said of another video."""
    (tmp_path / "stranger").mkdir()
    (tmp_path / "inbox").mkdir()
    (tmp_path / "stranger" / "clip.mp4.txt").write_text("private")
    (tmp_path / "stranger" / "_instructions.txt").write_text("private")
    (tmp_path / "inbox" / "trip").symlink_to(tmp_path / "stranger")
    inbox = tmp_path / "inbox"
    assert instruction_for(inbox / "trip" / "clip.mp4", inbox, relpath="trip/clip.mp4") is None
