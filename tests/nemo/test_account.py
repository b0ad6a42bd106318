"""Where the token comes from, and the file that keeps it."""

import json
import multiprocessing
import os
import stat
import uuid
from pathlib import Path

import pytest

from nemod.engines.nemo.account import LIFE_S, Account, AccountError, Credentials, Origin
from nemod.engines.nemo.keep import new_client_id
from nemod.engines.nemo.wire import Grant
from nemod.failure import Kind

API = "https://mega-api-prod.nemovideo.ai"
GIVEN, ENV, ANON = "nmv_usr_given", "nmv_usr_env", "nmv_usr_anon"
NOW = 1_000_000.0


def account(tmp_path: Path, *, api_url: str = API, **env: str) -> Account:
    return Account(tmp_path / "state" / "account.json", api_url=api_url, env=env, home=tmp_path / "home")


def file_of(tmp_path: Path) -> Path:
    return tmp_path / "state" / "account.json"


def grant(token: str = ANON, *, expires_at: float | None = None, user: str = "anon_1") -> Grant:
    return Grant(token=token, user=user, expires_at=expires_at, credits=100.0)


def token_of(found: Credentials | None) -> str:
    assert found is not None
    return found.token.get_secret_value()


def test_nothing_is_written_before_there_is_something_to_keep(tmp_path: Path) -> None:
    """Looking leaves no trace."""
    found = account(tmp_path)
    assert found.current(now=NOW, anonymous=True) is None
    assert found.refused_until() is None
    assert not found.has_client_id()
    assert not found.forget()
    assert list(tmp_path.iterdir()) == []


def test_the_environment_wins_over_the_stored_and_that_over_the_anonymous(tmp_path: Path) -> None:
    """And an anonymous token is no account where none may be used."""
    account(tmp_path).keep_anonymous(grant(), now=NOW)
    assert account(tmp_path).current(now=NOW, anonymous=False) is None
    found = account(tmp_path).current(now=NOW, anonymous=True)
    assert (token_of(found), found and found.origin, found and found.user) == (ANON, Origin.ANONYMOUS, "anon_1")
    account(tmp_path).keep_given(GIVEN, now=NOW)
    found = account(tmp_path).current(now=NOW, anonymous=True)
    assert (token_of(found), found and found.origin) == (GIVEN, Origin.STORED)
    found = account(tmp_path, NEMO_TOKEN=ENV).current(now=NOW, anonymous=True)
    assert (token_of(found), found and found.origin) == (ENV, Origin.ENVIRONMENT)


def test_a_service_s_credential_wins_over_what_is_stored(tmp_path: Path) -> None:
    """It is read anew each time; an empty one, and a folder without one, is none; what is learned of it is kept by its hash."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    env = {"CREDENTIALS_DIRECTORY": str(folder)}
    account(tmp_path).keep_given(GIVEN, now=NOW)
    stored, handed = (GIVEN, Origin.STORED), ("nmv_usr_c", Origin.CREDENTIAL)
    for text, expected in [(None, stored), (" \n", stored), ("nmv_usr_c\n", handed)]:
        if text is not None:
            (folder / "nemo_token").write_text(text)
        found = account(tmp_path, **env).current(now=NOW, anonymous=True)
        assert (token_of(found), found and found.origin) == expected
    account(tmp_path, **env).learn(user="u_1", proven=True)
    found = account(tmp_path, **env).current(now=NOW, anonymous=True)
    assert found is not None
    assert found.proven
    assert "nmv_usr_c" not in file_of(tmp_path).read_text()
    found = account(tmp_path, NEMO_TOKEN=ENV, **env).current(now=NOW, anonymous=True)
    assert (token_of(found), found and found.origin) == (ENV, Origin.ENVIRONMENT)


def test_a_credential_that_cannot_be_used_is_told_and_nothing_else_is_used_instead(tmp_path: Path) -> None:
    """A service that was given a token must not work under another."""
    account(tmp_path).keep_given(GIVEN, now=NOW)
    (tmp_path / "nemo_token").mkdir()
    with pytest.raises(AccountError, match="nemo_token"):
        account(tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path)).current(now=NOW, anonymous=True)
    (tmp_path / "nemo_token").rmdir()
    (tmp_path / "nemo_token").write_bytes(b"two words")
    with pytest.raises(AccountError, match="credential") as told:
        account(tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path)).current(now=NOW, anonymous=True)
    assert "two words" not in str(told.value)


def test_a_file_may_hold_the_token_of_the_environment(tmp_path: Path) -> None:
    """As containers hand over secrets; NEMO_TOKEN itself wins, and a file that gives none is told, never passed over."""
    account(tmp_path).keep_given(GIVEN, now=NOW)
    file = tmp_path / "secret"
    with pytest.raises(AccountError, match="NEMO_TOKEN_FILE"):
        account(tmp_path, NEMO_TOKEN_FILE=str(file)).current(now=NOW, anonymous=True)
    file.write_text(" \n")
    with pytest.raises(AccountError, match="it is empty"):
        account(tmp_path, NEMO_TOKEN_FILE=str(file)).current(now=NOW, anonymous=True)
    file.write_text("nmv_usr_f\n")
    found = account(tmp_path, NEMO_TOKEN_FILE=str(file)).current(now=NOW, anonymous=True)
    assert (token_of(found), found and found.origin) == ("nmv_usr_f", Origin.ENVIRONMENT)
    assert token_of(account(tmp_path, NEMO_TOKEN=ENV, NEMO_TOKEN_FILE=str(file)).current(now=NOW, anonymous=True)) == ENV


@pytest.mark.parametrize("text", [f" {ENV}\n", f"\r\n{ENV}\t"])
def test_blanks_around_a_token_in_the_environment_do_not_count(tmp_path: Path, text: str) -> None:
    """Files with secrets end with a newline; an empty one is none."""
    assert token_of(account(tmp_path, NEMO_TOKEN=text).current(now=NOW, anonymous=False)) == ENV
    assert account(tmp_path, NEMO_TOKEN=" \n").current(now=NOW, anonymous=False) is None  # noqa: S106 - none


@pytest.mark.parametrize("text", ["nmv_usr_a b", "nmv_usr_a\nX-Other: 1", "nmv_usr_ü", "nmv_usr_\x00", "nmv_usr_\udcff"])
def test_what_cannot_stand_in_a_header_is_no_token(tmp_path: Path, text: str) -> None:
    """The sentence does not quote it."""
    with pytest.raises(AccountError) as caught:
        account(tmp_path, NEMO_TOKEN=text).current(now=NOW, anonymous=False)
    assert caught.value.failure.kind is Kind.CREDENTIALS
    assert "NEMO_TOKEN" in str(caught.value)
    assert "nmv_usr" not in str(caught.value)
    with pytest.raises(AccountError):
        account(tmp_path).keep_given(text, now=NOW)
    assert not file_of(tmp_path).exists()


def test_no_token_is_shown_by_any_representation(tmp_path: Path) -> None:
    """Not by that of the credentials nor by that of the file's entries."""
    found = account(tmp_path)
    found.keep_given(GIVEN, now=NOW)
    assert GIVEN not in repr(found.current(now=NOW, anonymous=False))
    assert GIVEN not in repr(found._book())
    assert GIVEN not in repr(found)


def test_the_file_and_its_folder_are_for_their_owner_only(tmp_path: Path) -> None:
    """Permissions that somebody widened are tightened when it is read."""
    account(tmp_path).keep_given(GIVEN, now=NOW)
    assert stat.S_IMODE(file_of(tmp_path).stat().st_mode) == 0o600
    assert stat.S_IMODE(file_of(tmp_path).parent.stat().st_mode) == 0o700
    file_of(tmp_path).chmod(0o644)
    assert token_of(account(tmp_path).current(now=NOW, anonymous=False)) == GIVEN
    assert stat.S_IMODE(file_of(tmp_path).stat().st_mode) == 0o600


def test_a_token_never_goes_to_another_server(tmp_path: Path) -> None:
    """An origin is scheme, host and port; the usual port and the path do not count."""
    account(tmp_path).keep_given(GIVEN, now=NOW)
    assert (
        token_of(account(tmp_path, api_url="https://Mega-API-prod.nemovideo.ai:443/v2").current(now=NOW, anonymous=False))
        == GIVEN
    )
    for other in ("https://nemovideo.ai", "http://mega-api-prod.nemovideo.ai", f"{API}:8443", "http://[::1]:8642"):
        assert account(tmp_path, api_url=other).current(now=NOW, anonymous=True) is None
    account(tmp_path, api_url="http://[::1]:8642").keep_given("nmv_usr_other", now=NOW)
    assert token_of(account(tmp_path).current(now=NOW, anonymous=False)) == GIVEN


@pytest.mark.parametrize(("told", "ends"), [(None, NOW + LIFE_S), (NOW + 100, NOW + 100), (NOW - 5, NOW + LIFE_S)])
def test_an_anonymous_token_is_used_until_it_ends(tmp_path: Path, told: float | None, ends: float) -> None:
    """Seven days when the cloud does not say, or says that it has ended already."""
    account(tmp_path).keep_anonymous(grant(expires_at=told), now=NOW)
    found = account(tmp_path).current(now=ends - 1, anonymous=True)
    assert found is not None
    assert found.expires_at == ends
    assert account(tmp_path).current(now=ends, anonymous=True) is None


def test_a_refused_anonymous_token_is_void_and_another_one_is_not(tmp_path: Path) -> None:
    """Who speaks of an old token must not void the new one."""
    found = account(tmp_path)
    found.keep_anonymous(grant(), now=NOW)
    found.reject("nmv_usr_older")
    assert token_of(found.current(now=NOW, anonymous=True)) == ANON
    found.reject(ANON)
    assert account(tmp_path).current(now=NOW, anonymous=True) is None


def test_what_was_learned_of_a_token_is_kept_without_the_token(tmp_path: Path) -> None:
    """Also of one from the environment, which is not written down."""
    account(tmp_path, NEMO_TOKEN=ENV).learn(user="u1")
    account(tmp_path, NEMO_TOKEN=ENV).learn(proven=True)
    found = account(tmp_path, NEMO_TOKEN=ENV).current(now=NOW, anonymous=False)
    assert found is not None
    assert (found.user, found.proven) == ("u1", True)
    other = account(tmp_path, NEMO_TOKEN="nmv_usr_b").current(now=NOW, anonymous=False)  # noqa: S106 - made up
    assert other is not None
    assert (other.user, other.proven) == ("", False)
    assert ENV not in file_of(tmp_path).read_text()


def test_an_account_stays_proven_under_its_next_anonymous_token(tmp_path: Path) -> None:
    """As long as the cloud says that it is the same user."""
    found = account(tmp_path)
    found.keep_anonymous(grant(), now=NOW)
    found.learn(proven=True)
    found.reject(ANON)
    found.keep_anonymous(grant("nmv_usr_2"), now=NOW)
    same = found.current(now=NOW, anonymous=True)
    assert same is not None
    assert same.proven
    found.keep_anonymous(grant("nmv_usr_3", user="anon_2"), now=NOW)
    other = found.current(now=NOW, anonymous=True)
    assert other is not None
    assert not other.proven


def test_forgetting_removes_the_tokens_and_keeps_the_refusal(tmp_path: Path) -> None:
    """Otherwise one would be asked for that cannot be had."""
    found = account(tmp_path)
    found.keep_given(GIVEN, now=NOW)
    found.learn(proven=True)
    found.keep_anonymous(grant(), now=NOW)
    found.refuse(NOW + 5)
    assert found.forget()
    assert not found.forget()
    assert account(tmp_path).current(now=NOW, anonymous=True) is None
    assert account(tmp_path).refused_until() == NOW + 5
    text = file_of(tmp_path).read_text()
    assert GIVEN not in text
    assert ANON not in text
    assert json.loads(text)["origins"][API]["facts"] == {}


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 2, "origins": {}}', '{"version": 1, "origins": {"a": {"given": 5}}}']
)
def test_a_damaged_file_is_told_and_not_overwritten(tmp_path: Path, content: str) -> None:
    """Nor is it quoted."""
    file_of(tmp_path).parent.mkdir()
    file_of(tmp_path).write_text(content + " nmv_usr_secret")
    for attempt in (
        lambda: account(tmp_path).current(now=NOW, anonymous=True),
        lambda: account(tmp_path).keep_given(GIVEN, now=NOW),
        lambda: account(tmp_path).forget(),
        lambda: account(tmp_path).prepare(),
    ):
        with pytest.raises(AccountError) as caught:
            attempt()
        assert caught.value.failure.kind is Kind.CREDENTIALS
        assert str(file_of(tmp_path)) in str(caught.value)
        assert "secret" not in str(caught.value) + repr(caught.value.__cause__)
    account(tmp_path, NEMO_TOKEN=ENV).learn(proven=True)
    assert file_of(tmp_path).read_text() == content + " nmv_usr_secret"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_not_trusted(tmp_path: Path) -> None:
    """Somebody may have put it there."""
    account(tmp_path).keep_given(GIVEN, now=NOW)
    os.chown(file_of(tmp_path), 65534, 65534)
    with pytest.raises(AccountError, match="another user"):
        account(tmp_path).current(now=NOW, anonymous=False)


def test_a_state_folder_that_takes_nothing_is_told(tmp_path: Path) -> None:
    """Before a token is asked for that could not be kept."""
    (tmp_path / "state").write_text("a file where the folder should be")
    with pytest.raises(AccountError, match="cannot be"):
        account(tmp_path).prepare()


def test_the_client_id_is_made_once_and_kept(tmp_path: Path) -> None:
    """In the place that other programs of the cloud look at, for its owner only."""
    first = account(tmp_path).client_id()
    assert str(uuid.UUID(first)) == first
    assert account(tmp_path).client_id() == first
    file = tmp_path / "home" / ".config" / "nemovideo" / "client_id"
    assert file.read_text() == f"{first}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [f.name for f in file.parent.iterdir()] == ["client_id"]
    assert account(tmp_path).has_client_id()
    assert account(tmp_path, NEMO_CLIENT_ID=" mine ").client_id() == "mine"


def test_a_client_id_that_is_there_is_used_and_an_empty_file_is_none(tmp_path: Path) -> None:
    """An interrupted script may leave an empty file behind."""
    file = tmp_path / "home" / ".config" / "nemovideo" / "client_id"
    file.parent.mkdir(parents=True)
    file.write_text("client-1700000000-x\n")
    assert account(tmp_path).client_id() == "client-1700000000-x"
    file.write_text("\n")
    made = account(tmp_path).client_id()
    assert file.read_text().strip() == made
    assert len(made) == 36


@pytest.mark.parametrize("text", ["a b", "x" * 65, "ä", "one\ntwo"])
def test_what_is_no_client_id_is_told_and_never_replaced(tmp_path: Path, text: str) -> None:
    """A new one would be a new client to the cloud."""
    file = tmp_path / "home" / ".config" / "nemovideo" / "client_id"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(AccountError) as caught:
        account(tmp_path).client_id()
    assert text not in str(caught.value)
    assert file.read_text() == text
    with pytest.raises(AccountError):
        account(tmp_path, NEMO_CLIENT_ID=text).client_id()


def test_a_home_that_takes_nothing_has_the_client_id_beside_the_account(tmp_path: Path) -> None:
    """A service may see its home read-only or not at all."""
    (tmp_path / "home").write_text("no folder")
    made = account(tmp_path).client_id()
    assert account(tmp_path).client_id() == made
    assert (tmp_path / "state" / "client_id").read_text() == f"{made}\n"


def _make(file: Path, found: "multiprocessing.SimpleQueue[str]") -> None:
    found.put(new_client_id(file))


def test_processes_that_make_a_client_id_at_once_agree(tmp_path: Path) -> None:
    """The first one wins, and the others use its id."""
    spawn = multiprocessing.get_context("spawn")
    found: multiprocessing.SimpleQueue[str] = spawn.SimpleQueue()
    makers = [spawn.Process(target=_make, args=(tmp_path / "c" / "client_id", found)) for _ in range(4)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert len({found.get() for _ in makers}) == 1


def test_only_one_asks_for_a_token_at_a_time(tmp_path: Path) -> None:
    """While reading and writing go on."""
    account(tmp_path).prepare()
    with account(tmp_path).lock():
        with pytest.raises(BlockingIOError), account(tmp_path).lock(wait=False):
            pass
        account(tmp_path).keep_given(GIVEN, now=NOW)
    with account(tmp_path).lock(wait=False):
        pass
