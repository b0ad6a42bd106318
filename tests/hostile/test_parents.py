"""Folders that somebody puts a link in the place of just before the daemon moves, removes or makes a file in them.

The link leads to a stranger's folder with files of the same names, sizes and times. The moment is each side effect of a
daemon's life in turn, which the interpreter itself announces (see `tests.crash.victim`): what was looked at before it, and
what is done to the name after it, are then two different folders.
"""

import hashlib
import shlex
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from nemod.config.model import After
from tests.crash.victim import folder
from tests.crash.world import FULL, PARALLEL, SUB, Clips, Death, census, different, live, make_clips

PLACES = ("inbox", "done", "originals", "failed")
#: Where not every moment is tried: the end of an original, its way into the archive, and the output's into a sub-folder.
DECISIVE = {
    After.DELETE: (
        ("inbox", Death(label="os.remove inbox/holiday/day #/a.mp#", number=1)),
        ("done", Death(label="os.link inbox/done/.nemod-work/#-#-#/#.mp# inbox/done/holiday/day #/a.mp#", number=1)),
    ),
    After.ARCHIVE: (("inbox", Death(label="renameat2", number=4)), ("originals", Death(label="renameat2", number=4))),
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Small real videos."""
    return make_clips(tmp_path_factory.mktemp("clips"))


def _tree(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): _told(path) for path in sorted(root.rglob("*"))}


def _told(path: Path) -> str:
    seen = path.lstat()
    content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    return f"{seen.st_mode:o} {seen.st_ino} {seen.st_mtime_ns if content else 0} {content}"


def _trick(root: Path, name: str) -> Path:
    """A script that lets a sub-folder of a place lead to a stranger's; that one."""
    place = {"inbox": folder(root).inbox, "done": folder(root).outbox, "originals": folder(root).originals}.get(name)
    place = place or folder(root).inbox / "failed"
    stranger, aside = Path(f"{root} stranger"), Path(f"{root} aside")
    shutil.copytree(folder(root).inbox / SUB, stranger / SUB)
    first, away, theirs = (shlex.quote(str(path)) for path in (place / SUB.parts[0], aside, stranger / SUB.parts[0]))
    lines = [f"mkdir -p {shlex.quote(str(place))}", f"if [ -d {first} ]; then mv {first} {away}; fi", f"ln -s {theirs} {first}"]
    lines += [f"touch {shlex.quote(str(root))}' tricked'"]
    Path(f"{root}.trick").write_text("\n".join([*lines, ""]))
    return stranger


def _suffer(clips: Clips, root: Path, name: str, death: Death) -> str:
    """What a stranger has lost or got, in a word; nothing, if all is well."""
    clips.fill(root)
    stranger = _trick(root, name)
    before = _tree(stranger)
    live(root, death, meet=True)
    if _tree(stranger) != before:
        return f"{name} at {death.label} {death.number}: {before} became {_tree(stranger)}"
    ours = (path for top in (root, Path(f"{root} aside")) for path in top.rglob("*") if path.is_file())
    kept = {hashlib.sha256(path.read_bytes()).hexdigest() for path in ours}
    lost = [one for one, content in clips.originals.items() if content not in kept and clips.after is not After.DELETE]
    return f"{name} at {death.label} {death.number}: lost {lost}" if lost else ""


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("after", [After.DELETE, After.ARCHIVE])
def test_a_link_in_a_folders_place_leads_nobody_astray(
    clips: Clips, tmp_path: Path, after: After, record_property: Callable[[str, object], None]
) -> None:
    """A stranger's files stay as they are, and none of ours come to them, whichever folder it is and whenever it happens."""
    mine = replace(clips, after=after)
    cases = list(DECISIVE[after])
    if FULL:
        met = census(mine, tmp_path / "census")
        begin = next(n for n, death in enumerate(met) if death.label.startswith("commit INSERT INTO job"))
        cases = [(name, death) for name in PLACES for death in different(met[begin:])]
    with ThreadPoolExecutor(PARALLEL) as pool:
        broken = list(filter(None, pool.map(lambda n: _suffer(mine, tmp_path / str(n), *cases[n]), range(len(cases)))))
    assert not broken, "\n\n".join(broken)
    tricked = len(list(tmp_path.glob("* tricked")))
    record_property("swaps met", tricked)
    assert tricked >= (0.6 if FULL else 1) * len(cases), "the moments are not met any more"
