"""`nemod notify test`, and what the config's commands say of addresses without showing one."""

from collections.abc import Callable, Iterator

import pytest

from tests.cli.machine import Home, Ran
from tests.support.ears import Ears, ears

FOLDERS = '[folders.a]\ninbox = "~/a"\npreset = "discord"\n[folders.b]\ninbox = "~/b"\npreset = "discord"\nengine = "local"\n'


@pytest.fixture
def listener() -> Iterator[Ears]:
    """Somebody who hears messages."""
    with ears() as made:
        yield made


def test_each_address_is_tried_and_named_by_its_kind_alone(home: Home, nemod: Callable[..., Ran], listener: Ears) -> None:
    """One takes the message, one is not there; which folders are silent is said, too."""
    urls = [listener.url("s3cret"), "xml://127.0.0.1:1/s3cret"]
    home.configure(f"[notify]\nurls = {urls}\n{FOLDERS}")
    ran = nemod("notify", "test")
    assert ran.code == 1
    first, second, on, silent = ran.out.splitlines()
    assert first == "1  json://[redacted]  taken"
    assert second == "2  xml://[redacted]  not taken: the service cannot be reached, or does not answer"
    assert "failed, parked, held" in on
    assert "notify = true there: b." in silent
    assert "s3cret" not in ran.out + ran.err
    (said,) = listener.heard
    assert said["title"] == "nemod: a test"


def test_a_config_without_an_address_has_nothing_to_try(home: Home, nemod: Callable[..., Ran]) -> None:
    """And says where one is written."""
    home.configure(FOLDERS)
    ran = nemod("notify", "test")
    assert (ran.code, ran.out) == (2, "")
    assert "urls" in ran.err
    assert "NEMOD_NOTIFY_URLS" in ran.err


def test_a_check_finds_an_address_that_means_nothing_and_shows_none(
    home: Home, nemod: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its line, or the place that it comes from; what shows the config shows kinds alone, and is a config itself."""
    home.configure(f'[notify]\nurls = [\n"json://fine/s3cret",\n"nfty://s3cret",\n]\n{FOLDERS}')
    monkeypatch.setenv("NEMOD_NOTIFY_URLS", "odd://s3cret")
    for folder in "ab":
        (home.path / folder).mkdir()
    ran = nemod("config", "check")
    assert ran.code == 2
    mine, foreign = ran.err.splitlines()
    assert "config.toml:4: notify.urls[1]: is no address that Apprise knows" in mine
    assert "config.toml:1: notify: address 3, from a file or NEMOD_NOTIFY_URLS, is no address" in foreign
    shown = nemod("config", "show")
    assert shown.code == 0
    assert 'urls = [\n    "json://[redacted]",\n' in shown.out
    assert "s3cret" not in ran.err + ran.out + shown.out + nemod("config", "show", "--json").out
    monkeypatch.delenv("NEMOD_NOTIFY_URLS")
    home.configure(shown.out)
    assert nemod("config", "show").code == 0
