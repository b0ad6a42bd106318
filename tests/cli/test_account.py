"""`nemod account`, `nemod credits`, and what `nemod doctor` says of the cloud."""

import io
import json
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from nemod.cli.exits import ExitCode
from nemod.config.model import Nemo
from nemod.config.places import account_file
from nemod.daemon.locks import FILE as LOCK
from nemod.daemon.locks import Lock
from nemod.daemon.mailbox import Verb
from nemod.daemon.purse import day_of
from nemod.daemon.service import open_ledger
from nemod.engines.base import EngineName, Token
from nemod.engines.nemo.account import Account
from nemod.engines.nemo.wire import Grant
from nemod.ledger.ledger import Ledger
from nemod.media.verdict import How
from tests.cli.machine import Home, Ran
from tests.ledger.values import folder, sighting

MINE = "nmv_usr_0123456789abcdef"
OTHER = "nmv_usr_fedcba9876543210"
COMMANDS = ("account status", "account set-token", "account forget", "credits")
Nemod = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _no_account_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have an account."""
    for name in ("NEMO_TOKEN", "NEMO_API_URL", "NEMO_WEB_URL", "NEMO_CLIENT_ID", "SKILL_SOURCE"):
        monkeypatch.delenv(name, raising=False)


def account(home: Home, api_url: str = Nemo().api_url) -> Account:
    return Account(account_file(home.state), api_url=api_url, env={}, home=home.path)


def token_of(home: Home, api_url: str = Nemo().api_url) -> str | None:
    found = account(home, api_url).current(now=time.time(), anonymous=True)
    return None if found is None else found.token.get_secret_value()


def anonymous(home: Home, api_url: str = Nemo().api_url, *, expires_at: float | None = None, token: str = MINE) -> None:
    """An anonymous account that was granted a moment ago."""
    grant = Grant(token=token, user="anon_ab12", expires_at=expires_at, credits=100.0)
    account(home, api_url).keep_anonymous(grant, now=time.time())


def piped(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What a file or a program pipes in."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


class Cloud(ThreadingHTTPServer):
    """A server of our own that answers every call alike and remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status = 200
        self.body: object = {"code": 0, "data": {"available": 1234.5, "frozen": 50, "total": 1284.5}}
        self.calls: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Cloud)
        self.server.calls.append((self.command, self.path))
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        body = json.dumps(self.server.body).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name is http.server's

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        pass


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """A cloud on this machine, named by the environment."""
    with Cloud() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setenv("NEMO_API_URL", server.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_by_example(nemod: Nemod, command: str) -> None:
    """The help of each command shows the command at work, and none asks for a token as an argument."""
    ran = nemod(*command.split(), "--help")
    assert ran.code == ExitCode.OK
    assert "Example" in ran.out
    assert ran.out.count(f"nemod {command}") >= 2
    assert "ARGUMENTS" not in ran.out.upper()


@pytest.mark.parametrize("command", ["account status", "account forget"])
def test_looking_at_an_empty_machine_leaves_it_empty(home: Home, nemod: Nemod, command: str) -> None:
    """No account, no client id and no state folder come into being."""
    assert nemod(*command.split()).code == ExitCode.OK
    assert list(home.path.iterdir()) == []


def test_without_an_account_the_status_says_how_to_get_one(nemod: Nemod) -> None:
    """In words, and as JSON with nothing in it."""
    said = nemod("account", "status").out
    assert "none" in said
    assert "NEMO_TOKEN" in said
    assert "nemod account set-token" in said
    assert nemod("account", "status", "--json").json() == {
        "origin": None,
        "api_url": Nemo().api_url,
        "user": None,
        "expires_at": None,
        "proven": False,
        "client_id_known": False,
        "refused_until": None,
    }


def test_the_environments_token_is_told_but_not_shown(nemod: Nemod, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the token nor the client id appears anywhere."""
    monkeypatch.setenv("NEMO_TOKEN", MINE)
    monkeypatch.setenv("NEMO_CLIENT_ID", "client-7f3")
    words, data = nemod("account", "status"), nemod("account", "status", "--json")
    assert (data.json()["origin"], data.json()["client_id_known"]) == ("environment", True)
    assert "NEMO_TOKEN" in words.out
    for ran in (words, data):
        assert "nmv_usr_" not in ran.out + ran.err
        assert "client-7f3" not in ran.out + ran.err


def test_an_anonymous_account_is_told_with_its_end_and_how_to_keep_it(home: Home, nemod: Nemod) -> None:
    """The end as a date and as a span; once it has rendered, that too."""
    ends = time.time() + 2 * 86400 + 3 * 3600 + 60
    anonymous(home, expires_at=ends)
    data = nemod("account", "status", "--json").json()
    assert (data["origin"], data["expires_at"], data["proven"], data["user"]) == ("anonymous", ends, False, "anon_ab12")
    said = nemod("account", "status").out
    assert "in 2 days 3 hours" in said
    assert "not yet" in said
    assert "https://nemovideo.com/register?bind=anon_ab12" in said
    assert "nmv_usr_" not in said
    account(home).learn(proven=True)
    assert nemod("account", "status", "--json").json()["proven"] is True
    assert "not yet" not in nemod("account", "status").out


def test_a_refusal_to_give_an_anonymous_account_is_told(home: Home, nemod: Nemod) -> None:
    """Until when, as long as there is none."""
    until = time.time() + 86400
    account(home).refuse(until)
    assert nemod("account", "status", "--json").json()["refused_until"] == until
    assert "no anonymous account before" in nemod("account", "status").out


def test_an_account_file_that_is_damaged_is_told(home: Home, nemod: Nemod) -> None:
    """In words with code 1, and it is left as it is."""
    home.state.mkdir(mode=0o700)
    account_file(home.state).write_text("{")
    for command in COMMANDS:
        if command != "account set-token":
            ran = nemod(*command.split())
            assert ran.code == ExitCode.FAILED
            assert "account.json" in ran.err
            assert "Traceback" not in ran.err
    assert account_file(home.state).read_text() == "{"


def test_a_faulty_config_stops_before_anything_is_stored(home: Home, nemod: Nemod, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token must not be stored for a server that was not meant; the environment's faults count as well."""
    home.configure('[nemo]\napi_url = "http://nemovideo.example"\n')
    for command in COMMANDS:
        piped(monkeypatch, MINE)
        ran = nemod(*command.split())
        assert ran.code == ExitCode.USAGE
        assert f"{home.config}:2: nemo.api_url: " in ran.err
    home.config.unlink()
    monkeypatch.setenv("NEMO_API_URL", "nonsense")
    for command in COMMANDS:
        piped(monkeypatch, MINE)
        ran = nemod(*command.split())
        assert ran.code == ExitCode.USAGE
        assert "NEMO_API_URL" in ran.err
    assert not home.state.exists()


def test_a_token_is_stored_for_one_server_and_forgotten(home: Home, nemod: Nemod, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes in by standard input, lies in a private file, and serves no other address."""
    piped(monkeypatch, f"  {MINE}\nsecond line\n")
    ran = nemod("account", "set-token")
    assert (ran.code, ran.err) == (ExitCode.OK, "")
    assert "nmv_usr_" not in ran.out
    assert token_of(home) == MINE
    assert account_file(home.state).stat().st_mode & 0o777 == 0o600
    assert nemod("account", "status", "--json").json()["origin"] == "stored"
    monkeypatch.setenv("NEMO_API_URL", "https://other.example")
    assert nemod("account", "status", "--json").json()["origin"] is None
    assert "Nothing is stored for https://other.example" in nemod("account", "forget").out
    monkeypatch.delenv("NEMO_API_URL")
    assert "Forgotten" in nemod("account", "forget").out
    assert token_of(home) is None
    assert MINE not in account_file(home.state).read_text()


def test_the_environments_token_wins_and_that_is_said(home: Home, nemod: Nemod, monkeypatch: pytest.MonkeyPatch) -> None:
    """Storing and forgetting do what they say, and tell that NEMO_TOKEN is still used."""
    monkeypatch.setenv("NEMO_TOKEN", OTHER)
    piped(monkeypatch, MINE)
    assert "NEMO_TOKEN is set and wins" in nemod("account", "set-token").err
    assert token_of(home) == MINE
    assert nemod("account", "status", "--json").json()["origin"] == "environment"
    assert "NEMO_TOKEN is set and still used" in nemod("account", "forget").err
    assert token_of(home) is None


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("", ExitCode.USAGE, "no token to read"),
        ("\n\n", ExitCode.USAGE, "no token to read"),
        ("clm_0123\n", ExitCode.USAGE, "claim token"),
        ("nmv_usr_ab cd\n", ExitCode.FAILED, "is no token"),
        ("nmv_usr_h\u00f6ker\n", ExitCode.FAILED, "is no token"),
    ],
)
def test_what_is_no_token_is_not_stored(
    home: Home, nemod: Nemod, monkeypatch: pytest.MonkeyPatch, text: str, code: ExitCode, says: str
) -> None:
    """It is told without being repeated."""
    piped(monkeypatch, text)
    ran = nemod("account", "set-token")
    assert ran.code == code
    assert says in ran.err
    assert not text.strip() or text.strip() not in ran.err
    assert token_of(home) is None


def test_a_pipe_may_hold_anything(home: Home) -> None:
    """Bytes that are no text and a stream without an end are no token, and no traceback either."""
    for content in (b"nmv_usr_\xff\n", b"\0" * 100_000):
        done = subprocess.run(
            [sys.executable, "-m", "nemod", "account", "set-token"],
            env=home.env(PYTHONUTF8="1"),
            cwd=home.path,
            input=content,
            capture_output=True,
            check=False,
        )
        assert done.returncode in {ExitCode.FAILED, ExitCode.USAGE}
        assert b"Traceback" not in done.stderr
    assert token_of(home) is None


@pytest.mark.parametrize("args", [[MINE], ["--", MINE], [MINE, OTHER]])
def test_a_token_as_an_argument_is_refused_and_not_repeated(home: Home, nemod: Nemod, args: list[str]) -> None:
    """The shell's history and the list of processes would show it."""
    ran = nemod("account", "set-token", *args)
    assert ran.code == ExitCode.USAGE
    assert "history" in ran.err
    assert "nmv_usr_" not in ran.err + ran.out
    option = nemod("account", "set-token", f"--token={MINE}")
    assert option.code == ExitCode.USAGE
    assert "nmv_usr_" not in option.err + option.out
    assert not home.state.exists()


def test_a_terminal_does_not_show_the_token(home: Home) -> None:
    """It is asked for, typed, stored, and nowhere on the screen."""
    argv = [sys.executable, "-m", "nemod", "account", "set-token"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(home.path)
        os.execve(argv[0], argv, home.env())  # noqa: S606 - no shell is wanted
    screen = b""
    # Linux raises when the other side is closed.
    with open(terminal, "r+b", buffering=0) as both, suppress(OSError):  # noqa: PTH123 - a descriptor has no path
        asked = False
        while more := both.read(1024):
            screen += more
            if not asked and b"Token" in screen:
                asked = True
                both.write(f"{MINE}\n".encode())
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == ExitCode.OK
    assert b"Stored" in screen
    assert b"nmv_usr_" not in screen
    assert token_of(home) == MINE


def test_a_running_daemon_is_told_of_a_new_account(home: Home, nemod: Nemod, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word lies in its mailbox when something has changed; without a daemon none is left."""
    home.state.mkdir(mode=0o700)
    ledger = open_ledger(home.state)
    piped(monkeypatch, MINE)
    nemod("account", "set-token")
    assert ledger.requests() == ()
    lock = Lock(home.state / LOCK, create=True)
    try:
        piped(monkeypatch, OTHER)
        nemod("account", "set-token")
        nemod("account", "forget")
        nemod("account", "forget")  # nothing is left to forget
    finally:
        lock.release()
    assert [(word.verb, word.job) for word in ledger.requests()] == [(Verb.ACCOUNT, None)] * 2
    ledger.close()


def test_credits_without_an_account_ask_nobody(home: Home, nemod: Nemod, cloud: Cloud) -> None:
    """Nothing is asked for, nothing is made, and it says how to get an account."""
    ran = nemod("credits")
    assert ran.code == ExitCode.FAILED
    assert "NEMO_TOKEN" in ran.err
    assert "nemod account set-token" in ran.err
    assert cloud.calls == []
    assert list(home.path.iterdir()) == []


def test_credits_are_what_the_cloud_says(nemod: Nemod, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """In words and as JSON; every call carries the token and the three headers of a skill."""
    monkeypatch.setenv("NEMO_TOKEN", MINE)
    said = nemod("credits")
    assert said.code == ExitCode.OK
    assert "1,234.5 available, 50 frozen" in said.out
    data = nemod("credits", "--json").json()
    assert (data["available"], data["frozen"], data["total"]) == (1234.5, 50.0, 1284.5)
    assert (data["jobs"], data["spent_today"], data["max_credits_per_day"]) == ([], 0.0, None)
    assert cloud.calls == [("GET", "/api/credits/balance/simple")] * 2
    for headers in cloud.headers:
        assert headers["authorization"] == f"Bearer {MINE}"
        assert {"x-skill-source", "x-skill-version", "x-skill-platform"} <= headers.keys()


def pay(ledger: Ledger, home: Home, name: str, *costs: tuple[float, float | None]) -> None:
    """A job that paid at moments, each expected to cost 50; None: what it did cost is not known."""
    seen = [sighting(name)]
    (job,) = ledger.reconcile(folder(home.path), resting=seen, seen=seen, sees=lambda _: False, now=1.0).added
    attempt = ledger.open_attempt(job, EngineName.NEMO, How.ENCODE, home.path / "work" / name, now=1.0)
    for at, cost in costs:
        ledger.checkpoint(attempt, Token("paying"), now=at, expects=50.0)
        if cost is not None:
            ledger.checkpoint(attempt, Token("paid"), now=at, cost=cost)


@pytest.mark.usefixtures("cloud")
def test_credits_show_what_each_job_has_cost(home: Home, nemod: Nemod, monkeypatch: pytest.MonkeyPatch) -> None:
    """By job, the last one first; what is not known counts as expected, and only today's against the day's budget."""
    monkeypatch.setenv("NEMO_TOKEN", MINE)
    home.configure("[nemo]\nmax_credits_per_day = 200\n")
    home.state.mkdir(mode=0o700)
    ledger = open_ledger(home.state)
    now = time.time()
    before = day_of(now)[0] - 60
    pay(ledger, home, "old.mov", (before, 40.0))
    pay(ledger, home, "cl\nip.mov", (before, 30.0), (now, None))
    ledger.close()
    data = nemod("credits", "--json").json()
    assert [(j["file"], j["at"], j["edits"], j["credits"], j["sure"]) for j in data["jobs"]] == [
        ("cl\nip.mov", now, 2, 80.0, False),
        ("old.mov", before, 1, 40.0, True),
    ]
    assert (data["spent_today"], data["max_credits_per_day"]) == (50.0, 200)
    said = nemod("credits").out
    assert "Spent today: 50 of 200" in said
    rows = [line.split() for line in said.splitlines()]
    assert [row[-2:] for row in rows if "cl\\nip.mov" in row] == [["about", "80"]]
    assert [row[-1:] for row in rows if "old.mov" in row] == [["40"]]


def test_an_anonymous_account_is_asked_but_never_replaced(home: Home, nemod: Nemod, cloud: Cloud) -> None:
    """When the cloud no longer takes its token, looking at the credits gets no other one."""
    anonymous(home, cloud.url)
    assert nemod("credits").code == ExitCode.OK
    cloud.body = {"code": 1001, "message": f"bad token {MINE}"}
    ran = nemod("credits")
    assert ran.code == ExitCode.FAILED
    assert "nmv_usr_" not in ran.err
    assert "Traceback" not in ran.err
    assert {path for _, path in cloud.calls} == {"/api/credits/balance/simple"}


@pytest.mark.parametrize(
    ("status", "body"),
    [(401, {"detail": "no"}), (200, {"code": 1001}), (402, {}), (404, {}), (500, {}), (200, []), (302, {})],
)
def test_a_cloud_that_does_not_answer_well_gets_words(
    nemod: Nemod, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, status: int, body: object
) -> None:
    """Code 1 and a sentence, whatever comes back."""
    monkeypatch.setenv("NEMO_TOKEN", MINE)
    cloud.status, cloud.body = status, body
    ran = nemod("credits", "--json")
    assert (ran.code, ran.out) == (ExitCode.FAILED, "")
    assert ran.err.startswith("nemod: ")
    assert "Traceback" not in ran.err
    assert "nmv_usr_" not in ran.err


def test_a_cloud_that_is_not_there_gets_words(nemod: Nemod, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens at the address."""
    with Cloud() as gone:
        url = gone.url
    monkeypatch.setenv("NEMO_API_URL", url)
    monkeypatch.setenv("NEMO_TOKEN", MINE)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    ran = nemod("credits")
    assert ran.code == ExitCode.FAILED
    assert ran.err.startswith("nemod: ")
    assert "ask again" in ran.err
    assert "Traceback" not in ran.err


def findings(ran: Ran) -> dict[str, dict[str, Any]]:
    return {finding["what"]: finding for finding in ran.json()}


def configure(home: Home, engine: str) -> None:
    (home.path / "clips").mkdir(exist_ok=True)
    home.configure(f'[folders.clips]\ninbox = "~/clips"\npreset = "discord"\nengine = "{engine}"\n')


def test_the_doctor_keeps_silent_of_the_cloud_where_nobody_uses_it(home: Home, nemod: Nemod) -> None:
    """Only local folders: there is nothing to look at, not even a damaged account."""
    configure(home, "local")
    home.state.mkdir(mode=0o700)
    account_file(home.state).write_text("{")
    assert not [what for what in findings(nemod("doctor", "--json")) if "cloud" in what or "sandbox" in what]


@pytest.mark.parametrize(("engine", "says"), [("auto", "work on this machine"), ("nemo", "anonymous one is asked for")])
def test_the_doctor_says_what_a_missing_account_means(
    home: Home, nemod: Nemod, monkeypatch: pytest.MonkeyPatch, engine: str, says: str
) -> None:
    """For a folder that may use the cloud and for one that must; neither is a fault."""
    configure(home, engine)
    monkeypatch.setenv("NEMO_API_URL", "http://localhost:1")  # nobody there; a test asks no stranger
    found = findings(nemod("doctor", "--json"))
    assert found["cloud"]["found"] == "http://localhost:1"
    assert says in found["cloud account"]["found"]
    assert found["cloud account"]["ok"]
    assert found["sandbox"]["ok"]


def test_the_doctor_tells_the_account_and_its_faults(home: Home, nemod: Nemod, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the token comes from, that none is to be had, and a file that cannot be used; never the token itself."""
    configure(home, "nemo")
    monkeypatch.setenv("NEMO_TOKEN", MINE)
    monkeypatch.setenv("NEMO_API_URL", "http://localhost:1")
    ran = nemod("doctor", "--json")
    assert "NEMO_TOKEN" in findings(ran)["cloud account"]["found"]
    assert findings(ran)["cloud"]["found"] == "http://localhost:1"
    assert "nmv_usr_" not in ran.out
    monkeypatch.delenv("NEMO_TOKEN")
    account(home, "http://localhost:1").refuse(time.time() + 86400)
    refused = findings(nemod("doctor", "--json"))["cloud account"]
    assert not refused["ok"]
    assert "set-token" in refused["todo"]
    account_file(home.state).write_text("{")
    damaged = findings(nemod("doctor", "--json"))["cloud account"]
    assert not damaged["ok"]
    assert "account.json" in damaged["found"]


def test_what_the_config_says_of_the_cloud_is_shown(home: Home, nemod: Nemod, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the environment's word, a skill by its file, and long durations as the config writes them."""
    skill = home.path / "SKILL.md"
    skill.write_text("---\nname: mine\nversion: 3\n---\n")
    home.configure(
        '[nemo]\npatience = "1000h"\npoll_interval = "100ms"\nreply = ""\n[presets.mine]\nskill = "~/SKILL.md"\n'
        '[folders.clips]\ninbox = "~/clips"\npreset = "mine"\nengine = "nemo"\nsession = "folder"\n'
    )
    monkeypatch.setenv("NEMO_API_URL", "http://localhost:1")
    data = nemod("config", "show", "--json").json()
    assert data["nemo"]["api_url"] == "http://localhost:1"
    assert (data["nemo"]["patience"], data["nemo"]["poll_interval"], data["nemo"]["reply"]) == ("3600000s", "0.1s", "")
    assert (data["folders"]["clips"]["engine"], data["folders"]["clips"]["session"]) == ("nemo", "folder")
    assert data["presets"]["mine"]["skill"] == str(skill)
    (home.path / "shown.toml").write_text(nemod("config", "show").out)
    monkeypatch.delenv("NEMO_API_URL")
    again = nemod("config", "show", "--json", "--config", str(home.path / "shown.toml")).json()
    assert {**again, "file": ""} == {**data, "file": ""}
