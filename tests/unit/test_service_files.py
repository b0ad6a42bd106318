"""The service files of an installation: templates with paths put in, read back as systemd and launchd would."""

import plistlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nemod.config.builtin import builtin_presets
from nemod.config.model import After, Config, Encoder, EnginePolicy, Folder, Notify
from nemod.host import own_user, units
from nemod.host.launchd import guarded
from nemod.host.units import Installation, Needs, UnitError
from nemod.resources import shared_file

USER, SYSTEM, AGENT = (shared_file(name).read_text("utf-8") for name in (units.USER_UNIT, units.SYSTEM_UNIT, units.AGENT))
HERE = Installation(program=("/opt/nemod/bin/nemod",))
FOLDER = Folder(
    name="in",
    inbox=Path("/srv/in"),
    outbox=Path("/srv/in/done"),
    originals=Path("/srv/old"),
    failed=None,
    preset=builtin_presets()["discord"],
)
#: What a path may hold and a unit can carry; "." and ".." are steps, not names.
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1).filter(
    lambda name: name not in {".", ".."}
)
ODD = [
    "a b",
    "50%",
    "it's",
    'quo"te',
    "both'\"",
    "back\\slash",
    "end\\",
    "$HOME",
    "${x}",
    "ü",
    "#a",
    ";a",
    "-a",
    "%h",
    "a\u00a0b",
]


PLACES = {"a": "/mnt/nas/in", "b": "/srv/x", "c": "/home/a/in", "d": "/home/a/stick/in", "e": "/var/x", "f": "/mnt/nas/deep/in"}


def config(*folders: Folder) -> Config:
    return Config(file=Path("/etc/nemod/config.toml"), folders=folders)


def test_a_rendered_template_differs_in_the_named_values_only() -> None:
    """And in the comment at its top, which says who wrote it."""
    for template, text in ((USER, units.user_unit(USER, HERE)), (SYSTEM, units.system_unit(SYSTEM, HERE, Needs()))):
        before, after = (t[t.index("[Unit]") :].splitlines() for t in (template, text))
        changed = set(before) ^ set(after)
        assert {line.partition("=")[0] for line in changed} <= {"ExecStart"}
        assert text.startswith('# Written by "nemod service install"')
        assert "ExecStart=/opt/nemod/bin/nemod run" in after


def test_a_person_s_unit_names_config_and_state_where_they_are_not_the_usual_ones() -> None:
    """Else the service's own home decides."""
    assert units.environment(units.user_unit(USER, HERE)) == {}
    moved = replace(HERE, config=Path("/a b/50%.toml"), state=Path('/s"t'))
    assert units.environment(units.user_unit(USER, moved)) == {"NEMOD_CONFIG": "/a b/50%.toml", "NEMOD_STATE_DIR": '/s"t'}


@given(NAMES)
@example("end\\")
def test_a_path_is_read_back_as_it_was(name: str) -> None:
    """Whatever characters are in it: spaces, quotes, `%`, `$`, backslashes."""
    place = Path("/srv", name)
    text = units.system_unit(SYSTEM, replace(HERE, config=place), Needs(places=(place,)))
    assert units.writable(text) == (Path("/srv/nemod"), place)
    assert units.environment(text)["NEMOD_CONFIG"] == str(place)
    agent = plistlib.loads(units.agent(AGENT, Installation(program=(str(place),), config=place), place).encode())
    assert agent["ProgramArguments"] == [str(place), "run"]
    assert agent["EnvironmentVariables"]["NEMOD_CONFIG"] == str(place)
    assert agent["StandardErrorPath"] == f"{place}/Library/Logs/nemod/nemod.log"


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "tab\t", "\x1b[1m", "\udcff"])
def test_what_no_file_can_carry_is_refused_in_words(name: str) -> None:
    """A line break would begin a line of its own, with a key that somebody else has thought of."""
    place = Path("/srv", name)
    with pytest.raises(UnitError, match="can carry"):
        units.system_unit(SYSTEM, HERE, Needs(places=(place,)))
    with pytest.raises(UnitError, match="can carry"):
        units.user_unit(USER, replace(HERE, config=place))
    with pytest.raises(UnitError, match="can carry"):
        units.agent(AGENT, HERE, place)


def test_a_dollar_is_no_variable_and_a_quote_in_a_program_s_name_goes_through_a_shell() -> None:
    """A unit takes no quotes in the name of a program."""

    def start(*program: str) -> str:
        return units.directives(units.user_unit(USER, Installation(program=program)))["ExecStart"][0]

    assert start("/opt/my nemod/nemod") == '"/opt/my nemod/nemod" run'
    assert start("/opt/$x/nemod") == '":/opt/$x/nemod" run'
    assert start("/opt/it's/nemod") == ':/bin/sh -c "exec \\"$0\\" \\"$@\\"" "/opt/it\'s/nemod" run'
    assert start("/usr/bin/python3", "-P", "-m", "nemod") == "/usr/bin/python3 -P -m nemod run"


def test_the_places_of_a_config_are_named_once_and_those_within_others_not_at_all() -> None:
    """Only what is written to: originals where they are moved to, a folder for failures where there is one."""
    more = replace(
        FOLDER, name="b", inbox=Path("/srv/in/deep"), failed=Path("/srv/bad"), after=After.KEEP, originals=Path("/x")
    )
    asked = units.needs(config(FOLDER, more))
    assert asked.places == (Path("/srv/in"), Path("/srv/old"), Path("/srv/bad"))
    assert units.outermost([Path("/srv/a/b"), Path("/srv/ab"), Path("/srv/a")]) == (Path("/srv/ab"), Path("/srv/a"))


def test_a_drive_is_named_as_a_whole_and_a_part_of_the_system_is_not() -> None:
    """A folder of a drive would be mounted a second time in the sandbox, and stay there when the drive goes."""
    away = [
        replace(FOLDER, name=n, inbox=Path(p), outbox=Path(p, "done"), originals=Path("/mnt/nas/old"))
        for n, p in PLACES.items()
    ]
    mount_points = [Path(p) for p in ("/", "/home", "/srv", "/var", "/mnt/nas", "/mnt/nas/deep", "/home/a/stick")]
    asked = ["/mnt/nas", "/srv/x", "/home/a/in", "/home/a/stick", "/var/x"]
    assert units.needs(config(*away), mount_points=mount_points).places == tuple(map(Path, asked))


def test_a_machine_of_private_folders_has_no_network() -> None:
    """The kernel then keeps what the config promises; the cloud, a hook and notifications each open it again."""
    private = replace(FOLDER, engine=EnginePolicy.LOCAL)
    told = units.directives(units.system_unit(SYSTEM, HERE, units.needs(config(private))))
    assert (told["PrivateNetwork"], told["RestrictAddressFamilies"]) == (("yes",), ("AF_UNIX",))
    for more in (
        config(private, FOLDER),
        config(replace(private, on_done=("/usr/bin/true",))),
        replace(config(private), notify=Notify(urls=("ntfy://x",))),
        config(),
    ):
        told = units.directives(units.system_unit(SYSTEM, HERE, units.needs(more)))
        assert "PrivateNetwork" not in told
        assert told["RestrictAddressFamilies"] == ("AF_UNIX AF_INET AF_INET6",)


def test_a_graphics_card_and_homes_open_what_they_need_and_no_more() -> None:
    """Devices for an encoder that asks for them; homes for reading when a folder lies in one."""
    plain = units.directives(units.system_unit(SYSTEM, HERE, Needs()))
    open_ = units.directives(
        units.system_unit(SYSTEM, HERE, Needs(places=(Path("/home/a/in"),), hardware=True, groups=("render",)))
    )
    assert {key for key in open_ if open_.get(key) != plain.get(key)} == {
        *("PrivateDevices", "DeviceAllow", "SupplementaryGroups", "MemoryDenyWriteExecute", "ProtectHome", "ReadWritePaths"),
    }
    assert (plain["ProtectHome"], open_["ProtectHome"]) == (("yes",), ("read-only",))
    assert open_["ReadWritePaths"] == ("-/srv/nemod", "-/home/a/in")


def test_a_unit_that_a_config_has_outgrown_is_found() -> None:
    """New places, and a network where there was none; a person's own unit is never outgrown."""
    unit = units.system_unit(SYSTEM, HERE, units.needs(config(replace(FOLDER, engine=EnginePolicy.LOCAL))))
    moved = replace(FOLDER, outbox=Path("/mnt/out"))
    assert units.stale(unit, config(replace(FOLDER, engine=EnginePolicy.LOCAL))) == ()
    assert units.stale(unit, config(replace(FOLDER, inbox=Path("/srv/nemod/a"), outbox=Path("/srv/in/b")))) == (
        "The service has no network, and the config has a use for it (the cloud, hooks or notifications).",
    )
    assert "The service may not write to /mnt/out." in units.stale(unit, config(moved))
    assert units.stale(units.user_unit(USER, HERE), config(moved)) == ()
    fast = config(replace(FOLDER, preset=replace(FOLDER.preset, encoder=Encoder.AUTO_HW)))
    assert units.needs(fast).hardware
    for refuses, does in (
        (units.user_unit(USER, HERE), units.user_unit(USER, HERE, hardware=True)),
        (units.system_unit(SYSTEM, HERE, units.needs(config(FOLDER))), units.system_unit(SYSTEM, HERE, units.needs(fast))),
    ):
        assert any("graphics" in line for line in units.stale(refuses, fast))
        assert units.stale(does, fast) == ()


def test_what_the_machine_s_service_does_not_see_is_found() -> None:
    """Programs in homes and in temporary folders, and folders in the latter: it has its own there."""
    assert list(own_user.unseen(config(FOLDER, replace(FOLDER, inbox=Path("/home/a/in"), on_done=("mail", "x"))))) == []
    out = Path("/var", "tmp", "out")
    lost = config(replace(FOLDER, outbox=out, on_failed=("/home/a/tell", "/root/x")))
    lost = replace(lost, settings=replace(lost.settings, ffmpeg=Path("/root/ffmpeg")))
    assert list(own_user.unseen(lost)) == [
        ("folders.in", out),
        ("folders.in", Path("/home/a/tell")),
        ("nemod.ffmpeg", Path("/root/ffmpeg")),
    ]
    assert own_user.hidden(["/home/a/.local/bin/nemod"]) == Path("/home/a/.local/bin/nemod")


def test_places_that_macos_guards_are_found() -> None:
    """Below one's home and on other disks."""
    home = Path("/Users/a")
    places = [
        home / "Compress",
        home / "Desktop/in",
        Path("/Volumes/usb/in"),
        home / "Library/Mobile Documents/x",
        home / "Desk",
    ]
    assert guarded(places, home) == (places[1], places[2], places[3])


@pytest.mark.parametrize("template", [USER, SYSTEM])
def test_each_line_that_takes_something_away_says_why(template: str) -> None:
    """From the words about strangers' videos on, a comment stands above every line, or two that belong together."""
    lines = template.partition("# Videos come from strangers")[2].partition("[Install]")[0].splitlines()[1:]
    taking = [i for i, line in enumerate(lines) if line and not line.startswith("# ")]
    assert len(taking) >= 9
    for i in taking:
        above = lines[i - 1]
        # An example of a value stands below what it belongs to.
        assert above.startswith("# ") or lines[i].startswith("#"), lines[i]
