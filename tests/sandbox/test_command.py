"""`nemod sandbox` as a person runs it."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from nemod.cli.main import main
from nemod.sandbox.faults import CATALOGUE
from tests.support.cloud import cloud


def test_the_misbehaviours_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Each on a line with what it does."""
    assert main(["sandbox", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(CATALOGUE)
    assert any(line.startswith("overshoot[:FACTOR] ") and line.endswith("a follow-up is met.") for line in lines)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--misbehave", "silent-edits"], 'Did you mean "silent-edit"?'),
        (["--dialect", "klingon"], "adk-stream"),
        (["--upload-limit", "huge"], "huge"),
        (["--token", "secret-of-mine"], "nmv_usr_"),
    ],
)
def test_a_wrong_option_is_told_in_words(args: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With exit code 2, and never with the token."""
    assert main(["sandbox", "--port", "0", *args]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "secret-of-mine" not in said


def test_a_port_that_is_taken_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """And another one suggested."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["sandbox", "--port", str(taken.getsockname()[1])]) == 1
    assert "--port" in capsys.readouterr().err


def test_without_the_extra_it_says_how_to_install_it(tmp_path: Path) -> None:
    """Every other command works without."""
    code = "import sys; sys.modules['uvicorn'] = None; from nemod.cli.main import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "sandbox", "--port", "0"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    assert "pip install 'nemod[sandbox]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_what_to_set_and_ends_politely(tmp_path: Path, number: signal.Signals) -> None:
    """Two lines for a shell; a signal ends it at once, a temporary folder goes with it."""
    argv = [sys.executable, "-m", "nemod", "sandbox", "--port", "0"]
    env = {"TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(3)]
        assert said[1].startswith("export NEMO_API_URL=http://127.0.0.1:")
        assert said[2].startswith("export NEMO_TOKEN=nmv_usr_")
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "The sandbox is closed.\n")
    assert list(tmp_path.glob("nemod-sandbox-*")) == []


def test_an_address_for_everybody_is_warned_of(tmp_path: Path) -> None:
    """The loopback address is not."""
    with cloud(tmp_path / "open", "--host", "0.0.0.0") as everybody:  # noqa: S104 - that is the point
        assert "can use this sandbox" in everybody.said()
    with cloud(tmp_path / "own") as own:
        assert own.said() == ""
