"""What a name alone says."""

import pytest

from nemod.intake.names import OTHER_SUFFIXES, VIDEO_SUFFIXES, NameKind, ignored, kind_of, promises_video


@pytest.mark.parametrize(
    "relpath",
    [
        "clip.mp4.part",
        "clip.mp4.PARTIAL",
        "clip.mp4.crdownload",
        "clip.mp4.download",
        "clip.mp4.tmp",
        "clip.mp4.!qB",
        "clip.mp4.aria2",
        "clip.mp4.opdownload",
        "clip.mp4.filepart",
        "._clip.mp4",
        ".DS_Store",
        "Thumbs.db",
        "DESKTOP.INI",
        ".clip.mp4.AbC123",
        ".syncthing.clip.mp4.tmp",
        "~syncthing~clip.mp4.tmp",
        "~$clip.mp4",
        "@eaDir/clip.mp4",
        "#recycle/clip.mp4",
        ".stfolder/clip.mp4",
        "holiday/.stversions/clip.mp4",
        "clip.mp4.download/clip.mp4",
        ".newline\n.mp4",
    ],
)
def test_what_copying_and_syncing_leaves_behind_is_ignored(relpath: str) -> None:
    """Temporary names, hidden names and the systems' own folders are never looked at, at any depth."""
    assert ignored(relpath, ())


@pytest.mark.parametrize(
    "relpath",
    [
        "clip.mp4",
        "clip",
        "a.part.mp4",
        "-rf.mp4",
        "tmp",
        "holiday/clip~.mov",
        "new\nline.mp4",
        "\udcff\udcfe.mp4",
        "🎬.mp4",
        "part",
    ],
)
def test_ordinary_names_are_not_ignored(relpath: str) -> None:
    """Strange is not the same as temporary: such names are taken."""
    assert not ignored(relpath, ())


def test_own_patterns_are_held_against_every_part_and_the_whole() -> None:
    """A person's pattern may name a file, a folder anywhere, or a path, in any case."""
    assert ignored("raw.MOV", ("*.mov",))
    assert ignored("holiday/drafts/a.mp4", ("drafts",))
    assert ignored("holiday/drafts/a.mp4", ("Drafts/",))
    assert ignored("holiday/a.mp4", ("holiday/a*",))
    assert ignored("\udcffx.mp4", ("?x.mp4",))
    assert not ignored("holiday/b.mp4", ("holiday/a*", "drafts"))
    assert not ignored("drafts.mp4", ("drafts",))


def test_only_plainly_other_things_are_left_alone() -> None:
    """Subtitles, sound, pictures, documents and archives are; videos, GIFs, unknown suffixes and none at all are not."""
    for name in ("a.srt", "a.JPG", "a.pdf", "a.zip", "a.mp3", "a.nfo", "clip.mp4.failed.txt", "a.mp4.json"):
        assert kind_of(name) is NameKind.OTHER, name
    for name in ("a.mp4", "a.MOV", "a.gif", "a.weird", "a", "a.", "mp3", "a.txt\n", "\udcff.\udcfe"):
        assert kind_of(name) is NameKind.VIDEO, name


def test_no_suffix_promises_two_things() -> None:
    """The two lists are disjoint, lower case, and every entry is a suffix."""
    assert not VIDEO_SUFFIXES & OTHER_SUFFIXES
    assert all(s == s.lower() and s.startswith(".") and "." not in s[1:] for s in VIDEO_SUFFIXES | OTHER_SUFFIXES)


def test_a_promise_needs_a_known_suffix() -> None:
    """An unknown suffix is worth a look in a file and promises nothing in a folder."""
    assert promises_video("x.MP4")
    assert not promises_video("x.weird")
    assert not promises_video("x")
