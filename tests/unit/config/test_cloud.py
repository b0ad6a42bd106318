"""The `[nemo]` table, and the environment that wins over it."""

from pathlib import Path
from typing import Protocol

import pytest

from nemod.config.cloud import address
from nemod.config.model import Config, Finish, Nemo
from nemod.config.parse import parse
from nemod.config.units import UnitError

PRIVATE = "nmv_usr_0123456789"


class ReadNemo(Protocol):
    """Reads a main file's text, with an environment."""

    def __call__(self, text: str = "", **env: str) -> Nemo | list[tuple[int | None, str, str]]: ...


@pytest.fixture
def nemo(tmp_path: Path) -> ReadNemo:
    """Reads a configuration and gives its cloud settings, or its problems as line, key and words."""

    def read(text: str = "", **env: str) -> Nemo | list[tuple[int | None, str, str]]:
        (tmp_path / "config.toml").write_text(text, encoding="utf-8")
        result = parse(tmp_path / "config.toml", home=tmp_path, env=env)
        return result.nemo if isinstance(result, Config) else [(p.line, p.key, f"{p.what}; {p.hint}") for p in result]

    return read


def test_without_a_table_the_defaults_hold(nemo: ReadNemo) -> None:
    """Nobody has to configure the cloud to use it."""
    assert nemo() == Nemo() == nemo("[nemo]\n")


def test_every_key_reaches_the_settings(nemo: ReadNemo) -> None:
    """Each with a value that is not its default."""
    assert nemo("""
[nemo]
api_url = "http://127.0.0.1:8765/"
web_url = "https://Example.COM/app//"
language = "zh-CN"
slots = 2
poll_interval = "100ms"
edit_timeout = "2s"
heartbeat_timeout = "1s"
render_timeout = "3s"
recheck_first = "4s"
recheck_every = "5s"
recheck_times = 6
upload_limit = "200MB"
follow_ups = 0
finish = "off"
reply = ""
patience = "7s"
max_credits_per_day = 150
""") == Nemo(
        api_url="http://127.0.0.1:8765",
        web_url="https://example.com/app",
        language="zh-CN",
        slots=2,
        poll_interval_s=0.1,
        edit_timeout_s=2,
        heartbeat_timeout_s=1,
        render_timeout_s=3,
        recheck_first_s=4,
        recheck_every_s=5,
        recheck_times=6,
        upload_limit_bytes=200_000_000,
        follow_ups=0,
        finish=Finish.OFF,
        reply="",
        patience_s=7,
        max_credits_per_day=150,
    )


def test_the_environment_wins_over_the_table(nemo: ReadNemo) -> None:
    """With and without a table; an empty variable is no word."""
    table = '[nemo]\napi_url = "https://a.example"\nweb_url = "https://b.example"\n'
    for text in ("", table):
        assert nemo(text, NEMO_API_URL=" http://localhost:1/ ", NEMO_WEB_URL="https://c.example") == Nemo(
            api_url="http://localhost:1", web_url="https://c.example"
        )
    assert nemo(table, NEMO_API_URL="", NEMO_WEB_URL=" ") == Nemo(api_url="https://a.example", web_url="https://b.example")


def test_a_fault_in_the_environment_names_the_variable(nemo: ReadNemo) -> None:
    """No line of the file is to blame, and the file's own faults are told as well."""
    problems = nemo("[nemo]\nslots = 0\n", NEMO_API_URL="ftp://a.example", NEMO_WEB_URL="b.example", SKILL_SOURCE="h\u00f6ker")
    assert isinstance(problems, list)
    assert [(line, key) for line, key, _ in problems] == [
        (None, "NEMO_API_URL"),
        (None, "NEMO_WEB_URL"),
        (None, "SKILL_SOURCE"),
        (2, "nemo.slots"),
    ]
    assert all("environment" in words for line, _, words in problems if line is None)


@pytest.mark.parametrize(("key", "hint"), [("token", "nemod account set-token"), ("client_id", "NEMO_CLIENT_ID")])
def test_a_secret_does_not_stand_in_a_config(nemo: ReadNemo, key: str, hint: str) -> None:
    """It is refused with the place where it belongs, and not repeated."""
    problems = nemo(f'[nemo]\n{key} = "{PRIVATE}"\n')
    assert isinstance(problems, list)
    ((line, where, words),) = problems
    assert (line, where) == (2, f"nemo.{key}")
    assert hint in words
    assert PRIVATE not in words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slot = 1", 'did you mean "slots"?'),
        ("slots = 0", "from 1 to 64"),
        ("poll_interval = 30", "not a duration"),
        ("recheck_times = 0", "from 1"),
        ("follow_ups = -1", "from 0"),
        ('finish = "lokal"', 'did you mean "local"?'),
        ("reply = 3", "expected text"),
        ('language = "English, please"', "zh-CN"),
        ('upload_limit = "discord"', "not a size"),
        ("max_credits_per_day = 0", "from 1"),
        ("max_credits_per_day = 50.5", "whole number"),
    ],
)
def test_each_fault_has_its_hint(nemo: ReadNemo, text: str, said: str) -> None:
    """A wrong value is told on its line."""
    problems = nemo(f"[nemo]\n{text}\n")
    assert isinstance(problems, list)
    assert [line for line, _, _ in problems] == [2]
    assert said in problems[0][2]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://Mega-API.nemovideo.ai///", "https://mega-api.nemovideo.ai"),
        ("HTTPS://a.example:8443/Base/", "https://a.example:8443/Base"),
        (" https://a.example\n", "https://a.example"),
        ("https://8.8.8.8", "https://8.8.8.8"),
        ("https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443"),
        *(
            (url, url)
            for url in (
                "http://localhost:8765",
                "http://127.0.0.1",
                "http://127.9.9.9:80",
                "http://[::1]:8765",
                "http://[::ffff:10.0.0.1]",
                "http://10.0.0.7",
                "http://192.168.1.2:3000",
                "http://172.16.0.1",
                "http://[fd00::1]",
                "http://169.254.0.9",
                "http://nas:8765",
                "http://nas.local",
                "http://my.nas.lan:1",
                "http://sandbox.internal",
                "http://api.localhost",
            )
        ),
    ],
)
def test_an_address_is_read_without_its_last_slashes(written: str, read: str) -> None:
    """Over https anywhere, over http in one's own network."""
    assert address(written) == read


@pytest.mark.parametrize(
    "host",
    [
        *("mega-api-prod.nemovideo.ai", "8.8.8.8", "172.32.0.1", "[2001:4860:4860::8888]", "[::ffff:8.8.8.8]"),
        *("localhost.evil.example", "127.0.0.1.evil.example", "local.example", "134744072", "0x08080808", "8.8.2056", "010.1"),
    ],
)
def test_a_token_does_not_travel_in_clear_text(host: str) -> None:
    """Plain http to the internet is refused, however the host is spelled."""
    with pytest.raises(UnitError) as caught:
        address(f"http://{host}/api")
    assert "clear text" in caught.value.what
    assert "https://" in caught.value.hint
    assert address(f"https://{host}/api")


@pytest.mark.parametrize(
    "written",
    [
        *(
            "",
            " ",
            "nemovideo.ai",
            "//nemovideo.ai",
            "https://",
            "https://:443",
            "https:///api",
            "https://a b.example",
            "file:///x",
        ),
        *("ftp://a.example", "javascript:alert(1)", "https://a.example:x", "https://a.example:99999", "https://a.example:"),
        *("https://a.example/?q=1", "https://a.example#f", "https://a.example?", f"https://{PRIVATE}@a.example", PRIVATE),
        *(
            "https://u:p@a.example",
            "https://a..example",
            "https://-a.example",
            "https://a\\b.example",
            "https://[::1",
            "https://[x]",
        ),
        *("https://b\u00fccher.example", "https://a.exa\tmple", "https://%61.example", "https://[::1]x"),
        *(None, 3, True, ["https://a.example"], "https://" + "a" * 5000 + "!"),
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(written: object) -> None:
    """Whatever stands there may be a secret; the hint shows how an address looks, or what to leave out."""
    with pytest.raises(UnitError) as caught:
        address(written)
    assert caught.value.hint
    assert PRIVATE not in str(caught.value)
