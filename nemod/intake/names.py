"""What a file's name alone says: never look at it, plainly not a video, or a candidate.

Rules kept here:
- pure: names in, answers out; nothing is opened;
- case never matters: a camera writes `.MOV`, a browser `.crdownload`, a person anything;
- in doubt a file is taken, since the probe is a better judge than a name: unknown suffixes and none at all are candidates.
"""

import fnmatch
import re
from enum import StrEnum
from pathlib import Path

#: What copying, syncing and browsing leaves behind while at work, and what systems strew about. Hidden names (rsync's
#: `.clip.mp4.AbC123`, `.syncthing.clip.mp4.tmp`, `._clip.mp4` …) are ignored always, as folders too.
DEFAULT_IGNORE: tuple[str, ...] = (
    "*.part",
    "*.partial",
    "*.crdownload",
    "*.download",
    "*.opdownload",
    "*.filepart",
    "*.tmp",
    "*.!qb",
    "*.aria2",
    "~*",  # office locks, ~syncthing~clip.mp4.tmp
    ".*",
    "thumbs.db",
    "desktop.ini",
    "@eadir",
    "#recycle",
)

#: Suffixes that promise a video; only used to tell a folder called `x.mp4` from an ordinary one.
VIDEO_SUFFIXES = frozenset(
    """
    .3g2 .3gp .asf .avi .divx .dv .f4v .flv .gif .insv .lrv .m1v .m2t .m2ts .m2v .m4v .mjpeg .mk3d .mkv .mod .mov .mp4 .mpe
    .mpeg .mpg .mpv .mts .mxf .ogm .ogv .qt .rm .rmvb .tod .ts .vob .webm .wmv .wtv .y4m
    """.split()  # noqa: SIM905 - a list would lose the groups
)

#: Suffixes of plainly other things: subtitles, sound, pictures (a GIF may move), documents, archives, code, links.
OTHER_SUFFIXES = frozenset(
    """
    .ass .idx .lrc .sbv .smi .srt .ssa .sub .sup .vtt
    .aac .ac3 .aif .aiff .amr .ape .flac .m4a .m4b .mid .midi .mka .mp3 .oga .ogg .opus .wav .wma
    .ai .arw .avif .bmp .cr2 .cr3 .dng .eps .heic .heif .ico .jpeg .jpg .nef .orf .png .psd .raf .raw .rw2 .svg .thm .tif
    .tiff .webp .xcf .xmp
    .csv .doc .docx .epub .htm .html .ini .json .key .log .md .nfo .numbers .odp .ods .odt .pages .pdf .ppt .pptx .rtf .tex
    .toml .txt .xls .xlsx .xml .yaml .yml
    .7z .bz2 .cab .deb .dmg .exe .gz .img .iso .jar .msi .pkg .rar .rpm .tar .tgz .xz .zip .zst
    .bat .c .cpp .css .db .js .md5 .par2 .ps1 .py .sfv .sh .sha1 .sha256 .sql .sqlite
    .desktop .lnk .torrent .url .webloc
    """.split()  # noqa: SIM905 - a list would lose the groups
)

#: The instruction for every video of a folder and of those below it, as people and systems write it.
FOLDER_INSTRUCTIONS = ("_instructions.txt", "_Instructions.txt", "_INSTRUCTIONS.TXT", "_instructions.TXT")

_DEFAULT = re.compile("|".join(fnmatch.translate(pattern) for pattern in DEFAULT_IGNORE), re.IGNORECASE)


class NameKind(StrEnum):
    """What a name promises."""

    VIDEO = "video"
    OTHER = "other"


def ignored(relpath: str, patterns: tuple[str, ...]) -> bool:
    """Whether a path relative to its inbox must not be looked at, by itself or by a folder that it lies in.

    `patterns` are a person's own, in the language of the shell: each is held against every part of the path and against
    the whole; a slash at the end is allowed for folders.
    """
    parts = relpath.split("/")
    if any(_DEFAULT.match(part) for part in parts):
        return True
    subjects = [text.lower() for text in (relpath, *parts)]
    lowered = [pattern.rstrip("/").lower() for pattern in patterns]
    return any(fnmatch.fnmatchcase(subject, pattern) for pattern in lowered for subject in subjects)


def kind_of(name: str) -> NameKind:
    """Whether a file may be a video, judged by its suffix; OTHER is left alone rather than failed."""
    return NameKind.OTHER if _suffix(name) in OTHER_SUFFIXES else NameKind.VIDEO


def promises_video(name: str) -> bool:
    """Whether the suffix is one of a video's."""
    return _suffix(name) in VIDEO_SUFFIXES


def instructs(name: str) -> bool:
    """Whether a file is an instruction by its name: a folder's, or that of a video, which need not lie beside it (yet)."""
    lowered = name.lower()
    return name in FOLDER_INSTRUCTIONS or (lowered.endswith(".txt") and promises_video(lowered.removesuffix(".txt")))


def _suffix(name: str) -> str:
    return Path(name).suffix.lower()
