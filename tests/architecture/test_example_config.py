"""The example config keeps its word: it names every option, and what it shows as a default is one."""

import re
import tomllib
from dataclasses import fields, replace
from pathlib import Path

from nemod.config.cloud import NEMO_KEYS
from nemod.config.model import Config, Folder, Nemo, Notify, Settings
from nemod.config.parse import FOLDER_KEYS, PRESET_KEYS, SETTINGS_KEYS, parse
from nemod.config.prepare import prepare
from nemod.config.telling import NOTIFY_KEYS
from nemod.resources import shared_file

EXAMPLE = shared_file("config/nemod.toml").read_text(encoding="utf-8")
#: Every line that shows an option without setting it, with its comment sign taken away.
ALL_SET = re.sub(r"^#(?=[\w\[])", "", EXAMPLE, flags=re.MULTILINE)
#: The same without what goes with after = "trash" alone, which is no default.
WITHOUT_TRASH = re.sub(r"^(retention|keep_free) = .*$", "", ALL_SET, flags=re.MULTILINE)


def read(tmp_path: Path, text: str) -> Config:
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    (tmp_path / "notify-urls").write_text("# none yet\n", encoding="utf-8")
    config = parse(tmp_path / "config.toml", home=tmp_path)
    assert isinstance(config, Config), "\n".join(map(str, config))
    return config


def test_the_example_works_on_an_empty_home(tmp_path: Path) -> None:
    """It is read without a problem, and its folders are there afterwards."""
    config = read(tmp_path, EXAMPLE)
    assert [f.name for f in config.folders] == ["discord-10mb", "discord", "gmail"]
    assert prepare(config, home=tmp_path) == ()
    assert (tmp_path / "Compress" / "discord-10mb" / "done").is_dir()


def test_the_example_names_every_option_of_every_table() -> None:
    """An option that nobody finds does not exist."""
    values = tomllib.loads(ALL_SET)
    assert set(values["nemod"]) == set(SETTINGS_KEYS)
    assert set(values["nemo"]) == set(NEMO_KEYS)
    assert set(values["notify"]) == set(NOTIFY_KEYS)
    assert set(values["folders"]["discord-10mb"]) == set(FOLDER_KEYS)
    assert set(values["presets"]["forum"]) == set(PRESET_KEYS)


def test_the_defaults_that_it_shows_are_the_real_ones(tmp_path: Path) -> None:
    """Taking every comment sign away changes nothing but what has no default to show."""
    plain, all_set = read(tmp_path, EXAMPLE), read(tmp_path, WITHOUT_TRASH)
    assert plain.settings == Settings()
    assert replace(all_set.settings, ffmpeg=None, cores=None, umask=None, owner=None, group=None) == plain.settings
    assert plain.nemo == Nemo()
    assert replace(all_set.nemo, max_credits_per_day=None) == plain.nemo
    assert plain.notify == Notify()
    assert replace(all_set.notify, urls_file=None) == plain.notify
    assert all_set.folders == plain.folders
    assert {**all_set.presets, "forum": None} == {**plain.presets, "forum": None}


def test_every_option_reaches_the_model() -> None:
    """The tables' keys and the model's fields are the same options."""
    assert len(fields(Settings)) == len(SETTINGS_KEYS)
    assert {f.name.removesuffix("_s").removesuffix("_bytes") for f in fields(Nemo)} == set(NEMO_KEYS)
    assert {f.name.removesuffix("_s") for f in fields(Notify)} == set(NOTIFY_KEYS)
    folder = {f.name.removesuffix("_s").removesuffix("_bytes") for f in fields(Folder)} - {"name"}
    assert folder == set(FOLDER_KEYS) - {"encoder"}  # which its preset takes
