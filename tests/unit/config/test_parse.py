"""From TOML to a configuration, or to every problem at once."""

from pathlib import Path
from typing import Protocol

import pytest

from nemod.config.cloud import NEMO_KEYS
from nemod.config.model import After, Config, EnginePolicy, SessionScope, Settings
from nemod.config.parse import FOLDER_KEYS, PRESET_KEYS, SETTINGS_KEYS, parse
from nemod.config.problem import Problem

ODD_VALUES = [
    *(
        "true",
        "-1",
        "0",
        "3",
        "1.5",
        "nan",
        "inf",
        "9" * 4000,
        "1979-05-27",
        "07:32:00",
        "[]",
        "[1]",
        "[[]]",
        "{}",
        "{ a = 1 }",
    ),
    *('""', '" "', '"x"', '"\\u0000"', '"\\u001b[31m"', '"~ann/x"', '"~"', '"$HOME"', '"/"', '".."', '"' + "x" * 5000 + '"'),
]


class ReadConfig(Protocol):
    """Writes the main file and others in folders.d, and reads them."""

    def __call__(self, text: str, **more: str) -> Config | tuple[Problem, ...]: ...


@pytest.fixture
def written(tmp_path: Path) -> ReadConfig:
    """Writes a configuration and reads it, with a home beside it."""

    def write_and_parse(text: str, **more: str) -> Config | tuple[Problem, ...]:
        (tmp_path / "config.toml").write_text(text, encoding="utf-8")
        for name, content in more.items():
            (tmp_path / "folders.d").mkdir(exist_ok=True)
            (tmp_path / "folders.d" / f"{name}.toml").write_text(content, encoding="utf-8")
        return parse(tmp_path / "config.toml", home=tmp_path / "home")

    return write_and_parse


def good(result: Config | tuple[Problem, ...]) -> Config:
    assert isinstance(result, Config), "\n".join(map(str, result))
    return result


def bad(result: Config | tuple[Problem, ...]) -> list[tuple[int | None, str, str]]:
    assert not isinstance(result, Config)
    return [(p.line, p.key, f"{p.what}; {p.hint}") for p in result]


def test_a_folder_has_defaults(written: ReadConfig, tmp_path: Path) -> None:
    """An inbox and a preset are enough; outputs lie in the inbox."""
    folder = good(written('[folders.clips]\ninbox = "~/in"\npreset = "discord-10mb"\n')).folders[0]
    inbox = tmp_path / "home" / "in"
    assert (folder.name, folder.inbox) == ("clips", inbox)
    assert (folder.outbox, folder.originals, folder.failed) == (inbox / "done", inbox / "originals", inbox / "failed")
    assert (folder.engine, folder.after, folder.recursive, folder.ignore) == (EnginePolicy.AUTO, After.ARCHIVE, False, ())
    assert folder.session is SessionScope.JOB
    assert folder.preset.limit_bytes == 10_000_000


def test_everything_that_can_be_written_is_read(written: ReadConfig, tmp_path: Path) -> None:
    """Every key of every table reaches the configuration."""
    config = good(
        written("""
[nemod]
settle = "500ms"
rescan = "5m"
workers = 2
log_format = "json"
log_level = "debug"
ffmpeg = "bin/ffmpeg"
[folders.clips]
inbox = "in"
preset = "mine"
outbox = "../out"
originals = "~/old"
failed = "/nowhere/failed"
engine = "nemo"
after = "trash"
recursive = true
ignore = ["draft-*"]
session = "folder"
[presets.mine]
base = "discord-10mb"
limit = "8MB"
max_height = 480
max_fps = 29.97
codec = "h264"
audio_bitrate = "64k"
message = "make it small"
keep_location = true
skill = "compress-video"
summary = "Small"
""")
    )
    assert config.settings == Settings(
        settle_s=0.5, rescan_s=300, workers=2, log_format="json", log_level="debug", ffmpeg=tmp_path / "bin" / "ffmpeg"
    )
    folder, preset = config.folders[0], config.presets["mine"]
    assert (folder.inbox, folder.outbox) == (tmp_path / "in", tmp_path / "out")
    assert (folder.originals, folder.failed) == (tmp_path / "home" / "old", Path("/nowhere/failed"))
    assert (folder.engine, folder.after, folder.recursive) == (EnginePolicy.NEMO, After.TRASH, True)
    assert (folder.ignore, folder.session) == (("draft-*",), SessionScope.FOLDER)
    assert folder.preset == preset
    assert (preset.name, preset.limit_bytes, preset.max_height, preset.max_fps) == ("mine", 8_000_000, 480, 29.97)
    assert (preset.audio_bitrate_bps, preset.keep_location, preset.message) == (64_000, True, "make it small")
    assert (preset.skill, preset.summary) == ("compress-video", "Small")


def test_a_program_by_its_bare_name_is_left_for_the_system_to_find(written: ReadConfig) -> None:
    """`ffmpeg = "ffmpeg"` means the one in the search path, not a file beside the configuration."""
    assert good(written('[nemod]\nffmpeg = "ffmpeg7"\n')).settings.ffmpeg == Path("ffmpeg7")


def test_presets_inherit_what_they_do_not_say(written: ReadConfig) -> None:
    """Bounds come down a chain of bases, in whatever order the presets stand."""
    presets = good(written('[presets.c]\nbase = "b"\n[presets.b]\nbase = "discord-10mb"\nmax_fps = 30\n')).presets
    assert (presets["c"].limit_bytes, presets["c"].max_height, presets["c"].max_fps) == (10_000_000, 720, 30)
    assert presets["c"].message == presets["discord-10mb"].message


def test_words_about_another_limit_are_not_inherited(written: ReadConfig) -> None:
    """Whoever sets another limit does not inherit an instruction that names the old one, but one that has a place for it."""
    text = """
[presets.own]
limit = "9MB"
message = "compress this to 9 MB"
[presets.mine]
base = "own"
limit = "8MB"
[presets.smaller]
base = "discord-10mb"
limit = "8MB"
"""
    presets = good(written(text)).presets
    assert (presets["mine"].message, presets["smaller"].summary, presets["smaller"].note) == (None, "", "")
    assert (presets["smaller"].max_height, presets["smaller"].message) == (720, presets["discord-10mb"].message)


def test_a_limit_may_be_a_platform(written: ReadConfig) -> None:
    """A preset names a platform instead of a figure, and a preset without a limit has none."""
    presets = good(written('[presets.a]\nlimit = "gmail"\n[presets.b]\nmax_height = 720\n')).presets
    assert (presets["a"].limit_bytes, presets["b"].limit_bytes) == (18_000_000, None)


def test_a_problem_reads_like_a_compilers() -> None:
    """File, line, key, what is wrong, and what to do."""
    problem = Problem(
        file=Path("config.toml"),
        line=25,
        key="folders.clips.preset",
        what='no preset named "discrod-10mb"',
        hint='did you mean "discord-10mb"?',
    )
    assert str(problem) == 'config.toml:25: folders.clips.preset: no preset named "discrod-10mb"; did you mean "discord-10mb"?'


def test_all_problems_are_told_at_once_each_on_its_line(written: ReadConfig) -> None:
    """Nobody has to mend, start and mend again; one fault hides no other."""
    text = """[nemod]
settle = 2
wrokers = 1
[folders.clips]
inbox = "in"
preset = "discrod-10mb"
after = "archiv"
[folders.more]
recursive = "yes"
[presets.mine]
limit = "0MB"
codec = "av2"
"""
    assert [(line, key) for line, key, _ in bad(written(text))] == [
        (2, "nemod.settle"),
        (3, "nemod.wrokers"),
        (6, "folders.clips.preset"),
        (7, "folders.clips.after"),
        (8, "folders.more.inbox"),
        (8, "folders.more.preset"),
        (9, "folders.more.recursive"),
        (11, "presets.mine.limit"),
        (12, "presets.mine.codec"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('[folder.x]\ninbox = "a"\n', 1, 'did you mean "folders"?'),
        ("[nemod]\nsetle = 1\n", 2, 'did you mean "settle"?'),
        ("[presets.a]\nmaxheight = 3\n", 2, 'did you mean "max_height"?'),
        ('[presets.a]\nbase = "gmial"\n', 2, 'did you mean "gmail"?'),
        ('[presets.a]\nbase = "zzzzzz"\n', 2, 'see "nemod presets"'),
        ('[presets.a]\nlimit = "discrod"\n', 2, 'did you mean "discord"?'),
        ('[nemod]\nlog_level = "warn"\n', 2, 'did you mean "warning"?'),
        ("[nemod]\nworkers = 0\n", 2, "whole number from 1"),
        ("[nemod]\ncores = 0\n", 2, "whole number from 1"),
        *((f"[nemod]\numask = {umask}\n", 2, "umask") for umask in (22, '"9"', '"888"', '""', "true", '"-02"')),
        ('[nemod]\numask = "777"\n', 2, "would take the rights from nemod itself"),
        ("[nemod]\nowner = -1\n", 2, "is no user"),
        ("[nemod]\nowner = 4294967295\n", 2, "is no user"),
        ('[nemod]\ngroup = "nosuchgroup"\n', 2, "there is no group named"),
        ("[nemod]\nniceness = 20\n", 2, "whole number from 0 to 19"),
        ('[presets.gmail]\nlimit = "8MB"\n', 1, 'write base = "gmail"'),
        ('[presets.nitro]\nlimit = "8MB"\n', 1, "built-in"),
        ('[presets.a]\nbase = "a"\n', 2, "a -> a"),
        ('[folders.x]\ninbox = "a"\npreset = "x"\nengine = "nimo"\n', 4, 'did you mean "nemo"?'),
        ('[folders.x]\ninbox = "a"\npreset = "x"\nsession = "folders"\n', 4, 'did you mean "folder"?'),
        ('[folders.x]\ninbox = "$HOME/in"\npreset = "x"\n', 2, "variables are not expanded"),
        ('[folders.x]\ninbox = "~bob/in"\npreset = "x"\n', 2, "one's own home"),
        ('[folders."a/b"]\ninbox = "in"\npreset = "x"\n', 1, "is not a name"),
        ("folders = 3\n", 1, "expected a table"),
        ("[[folders]]\n", 1, "expected a table"),
        ("[folders]\nclips = 3\n", 2, "expected a table"),
        ('[folders.x]\ninbox = "i"\nretention = "30d"\n', 3, 'after = "archive"'),
        ('[folders.x]\ninbox = "i"\nafter = "delete"\nkeep_free = "1GB"\n', 4, 'after = "delete"'),
        ('[folders.x]\ninbox = "i"\nafter = "trash"\nretention = 30\n', 4, '"30d"'),
        ('[folders.x]\ninbox = "i"\nafter = "trash"\nretention = "0d"\n', 4, "from a minute to ten years"),
        ('[folders.x]\ninbox = "i"\nafter = "trash"\nkeep_free = "half"\n', 4, "is not a size"),
        ('[folders.x]\ninbox = "i"\npreset = "x"\nignore = ["a", 3]\n', 4, "expected text"),
    ],
)
def test_each_fault_has_its_line_and_its_hint(written: ReadConfig, text: str, line: int | None, said: str) -> None:
    """What is wrong is said with what to do about it."""
    problems = bad(written(text))
    assert any(where == line and said in words for where, _, words in problems), problems


def test_presets_in_a_ring_are_named_in_order(written: ReadConfig) -> None:
    """A ring is told once, with every link; what only hangs on it is no further problem."""
    text = '[presets.a]\nbase = "b"\n[presets.b]\nbase = "c"\n[presets.c]\nbase = "b"\n'
    assert [(line, key, "b -> c -> b" in words) for line, key, words in bad(written(text))] == [(4, "presets.b.base", True)]


def test_more_folders_lie_in_files_of_their_own(written: ReadConfig, tmp_path: Path) -> None:
    """Files in folders.d add folders and presets; their relative paths count from the main file."""
    config = good(
        written(
            '[folders.a]\ninbox = "a"\npreset = "gmail"\n',
            b='[folders.b]\ninbox = "b"\npreset = "mine"\n[presets.mine]\nlimit = "1MB"\n',
        )
    )
    assert [(f.name, f.inbox) for f in config.folders] == [("a", tmp_path / "a"), ("b", tmp_path / "b")]
    assert config.folders[1].preset.limit_bytes == 1_000_000


def test_a_name_in_two_files_is_a_problem_that_names_both(written: ReadConfig, tmp_path: Path) -> None:
    """Which of the two would count is not left to chance."""
    folder = '\n[folders.a]\ninbox = "a"\npreset = "gmail"\n'
    result = written(folder, more=folder)
    assert isinstance(result, tuple)
    assert [(p.file.name, p.line, p.key) for p in result] == [("more.toml", 2, "folders.a")]
    assert f"{tmp_path / 'config.toml'}:2" in result[0].what


@pytest.mark.parametrize("table", ["nemod", "nemo"])
def test_settings_stand_in_the_main_file_only(written: ReadConfig, table: str) -> None:
    """A file with more folders does not change how nemod runs, or where it sends what."""
    assert [(line, key) for line, key, _ in bad(written("", more=f"[{table}]\n"))] == [(1, table)]


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (b"a = 1\nb = \n", 2, "not valid TOML"),
        (b"a = 1\na = 2\n", 2, "not valid TOML"),
        (b"a = [1,\n2\n", 2, "not valid TOML"),
        (b"a = 1\nb = '\xff'\n", 2, "not UTF-8"),
        (b"a = " + b"9" * 6000, None, "not valid TOML"),
        (b"a = " + b"[" * 100_000, None, "not valid TOML"),
    ],
)
def test_a_file_that_is_no_toml_is_one_problem(tmp_path: Path, content: bytes, line: int | None, said: str) -> None:
    """Whatever a file holds, the answer is a sentence and never a traceback."""
    file = tmp_path / "config.toml"
    file.write_bytes(content)
    result = parse(file, home=tmp_path)
    assert isinstance(result, tuple)
    assert [(p.file, p.line) for p in result] == [(file, line)]
    assert said in result[0].what


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    """Some editors on Windows put one first."""
    (tmp_path / "config.toml").write_bytes(b"\xef\xbb\xbf[nemod]\r\nworkers = 3\r\n")
    assert good(parse(tmp_path / "config.toml", home=tmp_path)).settings.workers == 3


def test_a_missing_file_says_how_to_write_one(tmp_path: Path) -> None:
    """The first thing that a newcomer may see."""
    result = parse(tmp_path / "config.toml", home=tmp_path)
    assert isinstance(result, tuple)
    assert [(p.what, p.hint) for p in result] == [("there is no such file", 'write one with "nemod init"')]


def test_a_directory_in_the_files_place_is_a_problem(tmp_path: Path) -> None:
    """A directory of that name is told as one."""
    assert "is a directory" in str(parse(tmp_path, home=tmp_path))


def test_a_folders_file_that_cannot_be_read_is_a_problem(written: ReadConfig, tmp_path: Path) -> None:
    """A directory among the files with more folders is told, not skipped."""
    (tmp_path / "folders.d" / "x.toml").mkdir(parents=True)
    assert [(line, words) for line, _, words in bad(written(""))] == [(None, "is a directory; name the file in it")]


@pytest.mark.parametrize("value", ODD_VALUES)
def test_no_value_under_any_key_makes_reading_stumble(written: ReadConfig, value: str) -> None:
    """Any value under any key is read or refused in printable words, and nothing is made on the disk."""
    tables = (("nemod", SETTINGS_KEYS), ("nemo", NEMO_KEYS), ("folders.x", FOLDER_KEYS), ("presets.x", PRESET_KEYS))
    for table, keys in tables:
        result = written(f"[{table}]\n" + "".join(f"{key} = {value}\n" for key in keys))
        for problem in () if isinstance(result, Config) else result:
            assert str(problem).isprintable()
    for name in ("nemod", "nemo", "folders", "presets", "folders.x", "presets.x", "zebra"):
        written(f"{name} = {value}\n")


def test_nothing_is_made_by_reading(written: ReadConfig, tmp_path: Path) -> None:
    """Reading a configuration leaves the disk as it was."""
    good(written('[folders.a]\ninbox = "~/Compress/a"\npreset = "gmail"\n'))
    assert [p.name for p in tmp_path.iterdir()] == ["config.toml"]
