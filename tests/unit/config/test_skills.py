"""As which skill the cloud is asked."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nemod.config.builtin import builtin_presets
from nemod.config.model import Config, Preset
from nemod.config.parse import parse
from nemod.config.problem import Problem

FRONT = "---\nname: my-skill\nversion: 2.10\n---\n# My skill\n"
Read = Callable[..., Config | tuple[Problem, ...]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads a configuration with one preset of one's own, whose skill is given."""

    def config(skill: str, more: str = "", **env: str) -> Config | tuple[Problem, ...]:
        (tmp_path / "config.toml").write_text(f'[presets.mine]\n{more}\nskill = "{skill}"\n')
        return parse(tmp_path / "config.toml", home=tmp_path / "home", env=env)

    return config


def mine(result: Config | tuple[Problem, ...]) -> Preset:
    assert isinstance(result, Config), result
    return result.presets["mine"]


def facts(preset: Preset) -> tuple[str | None, str, str]:
    return preset.skill, preset.skill_version, preset.skill_platform


def write(path: Path, text: str | bytes = FRONT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("name", ["compress-video", "a-skill-of-theirs", "Video Compressor 2"])
def test_a_name_alone_has_the_first_version(read: Read, name: str) -> None:
    """Built in or not, the published documents carry no version."""
    assert facts(mine(read(name))) == (name, "1.0.0", "unknown")


@pytest.mark.parametrize("written", ["skills/mine/SKILL.md", "~/skill.MD", "skill.md", "./folder.v2/SKILL.md"])
def test_a_path_is_read(read: Read, tmp_path: Path, written: str) -> None:
    """It counts from the config's folder, "~" is the home; the version keeps the text that was written."""
    file = write(tmp_path / written if written[0] != "~" else tmp_path / "home" / written[2:])
    preset = mine(read(written))
    assert facts(preset) == ("my-skill", "2.10", "unknown")
    assert preset.skill_file == str(file.resolve())


@pytest.mark.parametrize(
    ("front", "name", "version"),
    [
        ("name: a", "a", "1.0.0"),
        ("name: 'a'\nversion: '3'", "a", "3"),
        ("name: a\nversion: 1.0", "a", "1.0"),
        ("name: a\nversion: 2026-01-02", "a", "2026-01-02"),
        ("name: a\nversion:\nmetadata:\n  version: 1.9", "a", "1.9"),
        ("name: a\nversion: 2\nmetadata: {version: 1}", "a", "2"),
        ("name: a\nmetadata: text", "a", "1.0.0"),
        ("name: 7\ndescription: |\n  many\n  lines", "7", "1.0.0"),
    ],
)
def test_name_and_version_are_found(read: Read, tmp_path: Path, front: str, name: str, version: str) -> None:
    """The version stands at the top or under `metadata`, as text or as a number."""
    for end, start in (("\n", ""), ("\r\n", "\ufeff")):
        write(tmp_path / "SKILL.md", f"{start}---\n{front}\n---\nversion: 9\n".replace("\n", end))
        assert facts(mine(read("SKILL.md")))[:2] == (name, version)


def test_a_skill_is_inherited_whole(tmp_path: Path) -> None:
    """Name, version and platform come from the base together; another skill replaces all of them."""
    write(tmp_path / ".clawhub" / "SKILL.md")
    (tmp_path / "config.toml").write_text(
        '[presets.a]\nskill = ".clawhub/SKILL.md"\n[presets.b]\nbase = "a"\n[presets.c]\nbase = "a"\nskill = "other"\n'
    )
    config = parse(tmp_path / "config.toml", home=tmp_path)
    assert isinstance(config, Config)
    assert facts(config.presets["b"]) == facts(config.presets["a"]) == ("my-skill", "2.10", "clawhub")
    assert facts(config.presets["c"]) == ("other", "1.0.0", "unknown")
    assert config.presets["c"].skill_file is None


@pytest.mark.parametrize(
    ("place", "platform"),
    [
        (".clawhub/skills/x/SKILL.md", "clawhub"),
        (".cursor/skills/x/SKILL.md", "cursor"),
        (".cursor/SKILL.md", "unknown"),
        ("my.clawhub/SKILL.md", "unknown"),
    ],
)
def test_the_platform_is_told_by_the_place_of_the_file(read: Read, tmp_path: Path, place: str, platform: str) -> None:
    """A link counts for where it leads, and the environment wins."""
    file = write(tmp_path / place)
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "SKILL.md").symlink_to(file)
    for written in (place, "link/SKILL.md"):
        assert mine(read(written)).skill_platform == platform
        assert mine(read(written, SKILL_SOURCE="github")).skill_platform == "github"


def test_the_environment_names_the_platform_of_every_preset(read: Read) -> None:
    """Built in, one's own, and one without a skill alike; all else stays."""
    config = read("other", '[presets.bare]\nlimit = "8MB"\n[presets.more]', SKILL_SOURCE="clawhub")
    assert isinstance(config, Config)
    assert {preset.skill_platform for preset in config.presets.values()} == {"clawhub"}
    assert {name: replace(config.presets[name], skill_platform="unknown") for name in builtin_presets()} == builtin_presets()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "does not begin with frontmatter"),
        ("# My skill\n---\nname: a\n---\n", "does not begin with frontmatter"),
        ("---\nname: a\n", "does not begin with frontmatter"),
        ("---\n---\n", "has no name"),
        ("---\nversion: 1\n---\n", "has no name"),
        ("---\nname:\n---\n", "has no name"),
        ("---\nname: [a]\n---\n", "has no name"),
        ("---\n- name\n---\n", "has no name"),
        ("---\nname: a\n  b: : c\n---\n", "not valid YAML (line 3)"),
        ("---\nname: {a\n---\n", "not valid YAML"),
        (b"---\nname: \xff\n---\n", "not valid YAML"),
        ("---\nname: " + "[" * 30_000 + "\n---\n", "not valid YAML"),
        ("---\nname: B\u00fccher\n---\n", "cannot be sent"),
        ('---\nname: "a\\r\\nX-Evil: 1"\n---\n', "cannot be sent"),
        ("---\nname: " + "a" * 300 + "\n---\n", "cannot be sent"),
        ("---\nname: a\nversion: 1\u00bd\n---\n", "cannot be sent"),
        ("---\n" + "x: y\n" * 30_000 + "name: a\n---\n", "does not begin with frontmatter"),
    ],
)
def test_a_file_that_describes_no_skill_is_told_on_its_line(
    read: Read, tmp_path: Path, content: str | bytes, said: str
) -> None:
    """Whatever lies there, the answer is a sentence with file, line, key and hint."""
    write(tmp_path / "SKILL.md", content)
    problems = read("SKILL.md", 'limit = "8MB"')
    assert isinstance(problems, tuple)
    ((problem),) = problems
    assert (problem.line, problem.key) == (3, "presets.mine.skill")
    assert said in problem.what
    assert problem.hint
    assert str(problem).isprintable()


def test_a_file_that_is_none_is_told(read: Read, tmp_path: Path) -> None:
    """One that is missing, a folder, and a pipe that nobody fills."""
    os.mkfifo(tmp_path / "pipe.md")
    for written, said in (("no/SKILL.md", "No such file"), ("./", "is not a file"), ("pipe.md", "is not a file")):
        problems = read(written)
        assert isinstance(problems, tuple)
        assert said in problems[0].what


def test_a_name_that_no_header_holds_is_refused(read: Read) -> None:
    """It would break every call to the cloud."""
    for name in ("h\u00f6ker", "a\\nb", "a" * 200):
        problems = read(name)
        assert isinstance(problems, tuple)
        assert "cannot be sent" in problems[0].what
