"""What could give away a token or a person's files: every place that a daemon and the commands write to, and who may read it.

The token is a canary: it is looked for whole, in pieces and in the usual disguises, wherever it does not belong.
"""

import base64
import io
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from nemod.engines.nemo.account import Account, AccountError
from nemod.job import JobState
from tests.cli.machine import Home, Ran, inside
from tests.e2e.conftest import slow
from tests.support.clips import make_clip
from tests.support.cloud import Cloud, cloud
from tests.support.daemon import Machine, eventually, every

SECRET = "CaNaRy7_-QwErTyUiOpAsDfGhJkLzXcVbNm0123456789"  # noqa: S105 - the canary
TOKEN = f"nmv_usr_{SECRET}"
#: Commands that read; each is tried for people, and with --json where it has that.
COMMANDS = (
    *("status", "doctor", "presets", "limits", "credits", "config show", "config check", "jobs list --all", "jobs show 1"),
    *("account status", "folders list", "jobs show 2"),
)
WITHOUT_JSON = frozenset({"folders list"})


def disguises(token: str) -> list[bytes]:
    """A token as it may appear: whole, cut, and in the spellings of base64, addresses and JSON."""
    secret = token.removeprefix("nmv_usr_")
    plain = [token, secret, secret[:16], secret[-16:], quote(token, safe=""), token[::-1]]
    escaped = "".join(f"\\u{ord(char):04x}" for char in secret[:8])
    coded = [base64.b64encode(token[n:].encode()).rstrip(b"=")[4:-4] for n in range(3)]
    return [*(text.encode() for text in (*plain, escaped)), *coded, token.encode().hex().encode()]


def found_in(raw: bytes) -> list[bytes]:
    """The disguises in which the token stands in some bytes."""
    return [form for form in disguises(TOKEN) if form in raw]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud that knows the canary."""
    with cloud(tmp_path_factory.mktemp("cloud"), "--credits", "1000000", token=TOKEN) as made:
        yield made


@pytest.fixture(scope="module")
def needy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second that is too large for the preset `tight`."""
    return make_clip(tmp_path_factory.mktemp("needy") / "needy.mkv", seconds=1, size=(160, 120), extra_args=("-crf", "1"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Another one, for commands."""
    path = tmp_path / "person"
    path.mkdir()
    return Home(path=path)


@pytest.fixture
def nemod(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """The command inside this process."""
    return inside(home, monkeypatch, capsys)


def private(root: Path) -> list[str]:
    """What below a folder somebody else may read or write, with its mode."""
    return [f"{path} {path.lstat().st_mode & 0o777:o}" for path in every(root) if path.lstat().st_mode & 0o077]


def test_a_token_lies_in_its_own_file_and_nowhere_else(
    own: Machine, sandbox: Cloud, needy: Path, nemod: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stored under the worst umask, used at level debug, with a quarrelsome cloud, an abort within a call and a restart.

    Whatever was written or said is searched; what the state folder holds is its owner's alone, even where all was open.
    """
    own.folder("clips", 'engine = "nemo"', preset="tight")
    own.configure(own.config.read_text().replace("[nemod]", '[nemod]\nlog_level = "debug"', 1))
    own.configure(
        own.config.read_text() + '[nemo]\npoll_interval = "300ms"\nrecheck_first = "300ms"\nrecheck_every = "300ms"\n'
        "recheck_times = 100\n"
    )
    own.more_env["NEMO_API_URL"] = sandbox.url
    own.state.mkdir(mode=0o777)
    own.state.chmod(0o777)
    loose = ("sh", "-c", 'umask 000; exec "$@"', "-")
    argv = [*loose, sys.executable, "-m", "nemod", "account", "set-token"]
    stored = subprocess.run(argv, env=own.env(), input=f"{TOKEN}\n".encode(), capture_output=True, check=True, cwd=own.home)
    assert found_in(stored.stdout + stored.stderr) == []
    sandbox.misbehave("http:500:state@1", "slow-edit:3@1")
    own.start(*loose)
    shutil.copy(needy, own.home / "clips" / "first.mkv")
    eventually(sandbox.charged, own.told)
    assert found_in(_arguments()) == []
    own.send(signal.SIGABRT)
    assert own.ended() == -signal.SIGABRT
    sandbox.behave()
    for path in own.state.iterdir():  # as a backup that was put back, or a copy from another machine
        path.chmod(0o666)
    own.start(*loose)
    shutil.copy(needy, own.home / "clips" / "second.mkv")
    own.delivered("first.mkv")
    own.delivered("second.mkv")
    for name, value in own.env().items():
        monkeypatch.setenv(name, value)
    for command in COMMANDS:
        for more in ((), ("--json",)) if command not in WITHOUT_JSON else ((),):
            ran = nemod(*command.split(), *more)
            assert ran.code in {0, 1}, ran.err
            assert found_in((ran.out + ran.err).encode()) == [], command
    assert own.stop() == 0
    assert [path.name for path in every(own.home) if path.is_file() and found_in(path.read_bytes())] == ["account.json"]
    assert nemod("account", "forget").code == 0
    places = [path for path in every(own.home) if path.is_file() and found_in(path.read_bytes())]
    assert places == []
    assert not [path for path in every(own.home) if path.name.startswith("core")]
    assert private(own.state) == []
    assert not re.search(rb"[?&](?:X-Amz-Signature|Signature|sig|token)=", (own.home / "log").read_bytes())


def _arguments() -> bytes:
    return subprocess.run(["ps", "-A", "-ww", "-o", "args="], capture_output=True, check=True).stdout.replace(
        f"--token {TOKEN}".encode(),
        b"",  # the sandbox's own, which is nobody's secret
    )


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")
def test_no_child_is_handed_a_secret_and_nobody_leaves_a_core(own: Machine, tmp_path: Path) -> None:
    """Decoders read strangers' files: the token in the daemon's environment, or in a proxy's address, is not in theirs."""
    long = make_clip(tmp_path / "long.mkv", seconds=30, size=(320, 180))
    inbox = own.folder("clips", 'engine = "local"', preset="tight")
    own.more_env |= {"NEMO_TOKEN": TOKEN, "HTTPS_PROXY": f"http://me:{SECRET}@127.0.0.1:9", "AWS_SECRET_ACCESS_KEY": SECRET}
    own.start()
    shutil.copy(long, inbox / "long.mkv")
    eventually(own.encoding, own.told)
    children = own.encoding()
    for pid in children:
        assert found_in(Path(f"/proc/{pid}/environ").read_bytes()) == []
    for pid in (own.pid, *children):
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"Max core file size +0 ", limits), limits
    assert children
    assert own.stop() == 0


@pytest.mark.parametrize("mask", [pytest.param("022", marks=slow), "027", pytest.param("077", marks=slow)])
def test_outputs_have_the_modes_that_other_files_of_the_person_have(
    own: Machine, needy: Path, mask: str, tmp_path: Path
) -> None:
    """A share's other users read what the umask lets them read: outputs, reasons and folders, whether encoded or passed on."""
    passing = make_clip(tmp_path / "tiny.mp4", seconds=1, size=(96, 64), extra_args=("-movflags", "+faststart"))
    passing.chmod(0o600)
    inbox = own.folder("clips", preset="tight")
    own.folder("never", preset="hopeless")
    own.start("sh", "-c", f'umask {mask}; exec "$@"', "-")
    shutil.copy2(passing, inbox / "passed.mp4")
    shutil.copy2(needy, inbox / "encoded.mkv")
    shutil.copy2(needy, own.home / "never" / "impossible.mkv")
    wanted = 0o666 & ~int(mask, 8)
    for name in ("passed.mp4", "encoded.mkv"):
        assert stat.S_IMODE(own.delivered(name).stat().st_mode) == wanted, name
    own.wait_for(JobState.FAILED, "impossible.mkv")
    failed = own.home / "never" / "failed"
    assert stat.S_IMODE((failed / "impossible.mkv.failed.txt").stat().st_mode) == wanted
    folders = [inbox / "done", inbox / "originals", failed]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o777 & ~int(mask, 8)}
    assert stat.S_IMODE((inbox / "originals" / "passed.mp4").stat().st_mode) == 0o600, "an original is as it was"
    assert own.stop() == 0
    assert private(own.state) == []


@pytest.mark.parametrize(
    "text",
    [
        '[nemo]\ntoken = "{}"',
        '[nemo]\napi_url = "{}"',
        '[nemo]\napi_url = "https://me:{}@cloud.example"',
        '[nemo]\napi_url = "https://cloud.example/?key={}"',
        '[nemo]\nlanguage = "{}"',
        '[nemo]\nslots = "{}"',
        "[nemo]\n{} = 1",
        "[{}]\nslots = 3",
        "[nemo]\ntoken = {}",
        '[folders.a]\ninbox = "~/a"\npreset = "{}"',
        '[folders.a]\ninbox = "~/a"\npreset = "discord"\nengine = "{}"',
        '[nemod]\nsettle = "{}"',
        '[nemo]\nreply = "{}"',
    ],
)
def test_a_token_in_a_wrong_place_of_the_config_is_not_repeated(nemod: Callable[..., Ran], home: Home, text: str) -> None:
    """It is said what is wrong and where, for people and for programs; the token itself is not."""
    home.configure(text.format(TOKEN))
    for words in (
        ("config", "check"),
        ("config", "check", "--json"),
        ("config", "show"),
        ("config", "show", "--json"),
        ("status",),
    ):
        ran = nemod(*words)
        assert found_in((ran.out + ran.err).encode()) == [], words
    assert nemod("config", "check").code == (0 if "reply" in text else 2)


@pytest.mark.parametrize(
    "token", ["abc\r\nX-Evil: 1", "abc\nX-Evil: 1", "abc\x00def", "abc\tdef", "t\u00f6ken", "two words", "\x7f", "abc\x0bdef"]
)
def test_a_token_that_would_break_out_of_its_header_is_refused(
    nemod: Callable[..., Ran], home: Home, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    """Whatever the way by which it comes in, and without being quoted."""
    monkeypatch.setattr("sys.stdin", io.StringIO(token.replace("\n", "\v").replace("\r", "\v")))
    assert nemod("account", "set-token").code != 0
    assert not (home.state / "account.json").exists()
    if "\x00" in token:
        return  # no environment can hold it
    monkeypatch.setenv("NEMO_TOKEN", token)
    for words in ("account status", "credits", "doctor"):
        ran = nemod(*words.split())
        assert "X-Evil" not in ran.out + ran.err
        assert ran.code != 0 or words == "doctor"
    monkeypatch.delenv("NEMO_TOKEN")
    monkeypatch.setenv("NEMO_CLIENT_ID", token)
    with pytest.raises(AccountError):
        Account(home.state / "account.json", api_url="https://cloud.example", env=os.environ, home=home.path).client_id()


def test_the_service_files_hold_no_secret_and_ask_for_none() -> None:
    """A unit file is readable to everybody: a token belongs into the account's file."""
    for file in (Path(__file__).parents[2] / "systemd").iterdir():
        assert not re.search(r"NEMO_TOKEN|nmv_usr_|[Pp]assword|Secret", file.read_text()), file


def test_what_a_first_start_makes_is_its_owners_alone_where_it_is_private(own: Machine) -> None:
    """The config, a folder's file and the state, and what the sandbox keeps; inboxes and outboxes follow the umask."""
    loose = ("sh", "-c", 'umask 000; exec "$@"', "-")
    own.start(*loose)
    config = own.config.parent
    argv = [*loose, sys.executable, "-m", "nemod", "folders", "add", "more", "--preset", "discord"]
    subprocess.run(argv, env=own.env(), check=True, capture_output=True)
    assert own.stop() == 0
    assert [line for line in private(config) if not line.endswith("777")] == []
    assert private(own.state) == []
    with cloud(own.home / "cloud", token=TOKEN) as sandbox:
        sandbox.stop()
    assert private(own.home / "cloud" / "sandbox") == []
