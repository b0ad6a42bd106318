"""`nemod ask`: a wish becomes a job of its own, a question is answered at once, and what cannot be done is refused in words."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest

from nemod.cli.exits import ExitCode
from nemod.cli.things import things
from nemod.config.model import After, EnginePolicy, Folder, Nemo, Preset
from nemod.daemon.locks import FILE, Lock
from nemod.daemon.mailbox import Verb, apply
from nemod.daemon.service import open_ledger
from nemod.daemon.source import fingerprint_of
from nemod.engines.base import EngineName, Token
from nemod.engines.nemo.account import Account
from nemod.engines.nemo.client import Client, skill_of
from nemod.engines.nemo.trip import Stage, Trip, token_of
from nemod.engines.nemo.wire import Session
from nemod.job import Job, JobId, JobState, Lane, Move, Route, Sighting
from nemod.ledger.ledger import Ledger
from nemod.media.verdict import How
from tests.cli.machine import Home, Ran
from tests.ledger.values import ACCEPT, MEDIA, NOW
from tests.support.clips import make_clip
from tests.support.cloud import Cloud, cloud

ROUTE = Route(how=How.ENCODE, engines=(EngineName.NEMO,), limit_bytes=10_000_000, follow_ups=1, finish=True)
SOME = token_of(Trip(stage=Stage.MADE, session=Session(id="5529798706024415232", task="task_1", user="anon_1")))
CONFIG = '[folders.clips]\ninbox = "~/clips"\npreset = "discord"\nengine = "{}"\n'


def folder_of(home: Home) -> Folder:
    inbox = home.path / "clips"
    return Folder(
        name="clips",
        inbox=inbox,
        outbox=inbox / "done",
        originals=inbox / "originals",
        failed=inbox / "failed",
        preset=Preset(name="discord-10mb", limit_bytes=10_000_000),
        engine=EnginePolicy.NEMO,
    )


@pytest.fixture
def ledger(home: Home) -> Iterator[Ledger]:
    """The ledger of an empty machine."""
    home.state.mkdir()
    (home.path / "clips").mkdir()
    with closing(open_ledger(home.state)) as opened:
        yield opened


def add(ledger: Ledger, home: Home, name: str = "clip.mp4") -> JobId:
    """A job that waits to be looked at."""
    source = home.path / "clips" / name
    if not source.exists():
        source.write_bytes(b"moving pictures")
    seen = [Sighting(relpath=name, fingerprint=fingerprint_of(source))]
    (job,) = ledger.reconcile(folder_of(home), resting=seen, seen=seen, sees=lambda _: False, now=NOW).added
    return job


def made(ledger: Ledger, home: Home, token: Token | None = SOME, name: str = "clip.mp4") -> JobId:
    """A job that is done: in the cloud, or without a token on this machine."""
    job = add(ledger, home, name)
    assert ledger.move(job, Move.CLAIM, now=NOW)
    ledger.examined(job, MEDIA, ROUTE)
    engine = EngineName.LOCAL if token is None else EngineName.NEMO
    attempt = ledger.open_attempt(job, engine, How.ENCODE, home.path / "work", now=NOW)
    if token is not None:
        ledger.checkpoint(attempt, token, now=NOW)
    ledger.staged(attempt, home.path / "work" / "out.mp4", token=None, note="made")
    ledger.judged(attempt, ACCEPT, now=NOW)
    assert ledger.aim(job, home.path / "clips" / "done" / f"{name}.mp4")
    ledger.delivered(job, ACCEPT.size_bytes)
    ledger.disposed(job, "kept", None)
    assert ledger.move(job, Move.FINISH, now=NOW)
    return job


def read(ledger: Ledger, job: int) -> Job:
    found = ledger.job(JobId(job))
    assert found is not None
    return found


# -- a wish -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "instruction"),
    [
        (["make it shorter"], "make it shorter"),
        (["make", "it", "shorter"], "make it shorter"),
        (["add a credits roll"], "add a credits roll"),
        (["重新生成"], "重新生成"),
        (["export"], None),
        (["导出"], None),
        (["download it"], None),
    ],
)
def test_without_a_daemon_the_wish_is_written_down(
    home: Home, ledger: Ledger, nemod: Callable[..., Ran], words: list[str], instruction: str | None
) -> None:
    """An edit keeps its words, an export has none; both go on with what is known of the first job's source."""
    first = made(ledger, home)
    ran = nemod("ask", str(first), *words)
    assert ran.code == ExitCode.OK, ran.err
    child = read(ledger, first + 1)
    says = f"Job {child.id} goes on in the session of job {first}; its result will appear in {child.folder.outbox}."
    assert ran.out == f"{says} It starts with the next: nemod run\n"
    assert (child.parent, child.instruction, child.state) == (first, instruction, JobState.QUEUED)
    assert (child.media, child.route, child.present) == (MEDIA, None, False)
    assert (child.folder.after, child.folder.failed) == (After.KEEP, None)
    assert child.session_key == read(ledger, first).session_key is not None
    assert ledger.session_token(child.id) == SOME


def test_a_program_is_told_the_number(home: Home, ledger: Ledger, nemod: Callable[..., Ran]) -> None:
    """As JSON: the new job, the one that it goes on with, and where to look."""
    first = made(ledger, home)
    outbox = str(home.path / "clips" / "done")
    assert nemod("ask", str(first), "shorter, please", "--json").json() == {"job": first + 1, "parent": first, "outbox": outbox}


def test_a_wish_can_go_on_with_a_wish(home: Home, ledger: Ledger, nemod: Callable[..., Ran]) -> None:
    """A job that was asked for is asked on, in the same session, even before it has come to the cloud itself."""
    first = made(ledger, home)
    assert nemod("ask", str(first), "shorter").code == ExitCode.OK
    ledger.move(JobId(first + 1), Move.CANCEL, now=NOW)
    assert nemod("ask", str(first + 1), "still shorter").code == ExitCode.OK
    last = read(ledger, first + 2)
    assert (last.parent, last.session_key) == (first + 1, read(ledger, first).session_key)
    assert ledger.session_token(last.id) == SOME


def test_a_running_daemon_finds_it_in_its_mailbox(home: Home, ledger: Ledger, nemod: Callable[..., Ran]) -> None:
    """Nothing but the mailbox is written while somebody else has the lock, and the words are in it whole."""
    first = made(ledger, home)
    lock = Lock(home.state / FILE, create=True)
    try:
        ran = nemod("ask", str(first), "make it shorter")
        exported = nemod("ask", str(first), "export", "--json")
    finally:
        lock.release()
    outbox = home.path / "clips" / "done"
    assert (ran.code, ran.out) == (ExitCode.OK, f"The daemon takes care of it; its result will appear in {outbox}.\n")
    assert exported.json()["job"] is None
    assert len(ledger.jobs()) == 1
    found = [(r.verb, r.job, r.text) for r in ledger.requests()]
    assert found == [(Verb.ASK, first, "make it shorter"), (Verb.ASK, first, None)]


def test_the_mailbox_makes_the_job_and_refuses_in_words(home: Home, ledger: Ledger) -> None:
    """What the daemon does with a request is what the command does without one."""
    first, local = made(ledger, home), made(ledger, home, None, "local.mp4")
    folders = {"clips": folder_of(home)}
    answer = apply(ledger, Verb.ASK, first, folders, now=NOW, text="shorter")
    assert answer.done
    assert answer.made is not None
    assert (read(ledger, answer.made).parent, read(ledger, answer.made).instruction) == (first, "shorter")
    assert not apply(ledger, Verb.ASK, local, folders, now=NOW, text="shorter").done
    assert not apply(ledger, Verb.ASK, JobId(99), folders, now=NOW, text="shorter").done
    assert len(ledger.jobs()) == 3


def test_an_asked_job_that_failed_is_retried_without_a_source(home: Home, ledger: Ledger) -> None:
    """Its video lies in the session; the original may be long gone. A folder that was made local since keeps it here."""
    first = made(ledger, home)
    (home.path / "clips" / "clip.mp4").unlink()
    folders = {"clips": folder_of(home)}
    child = apply(ledger, Verb.ASK, first, folders, now=NOW, text="shorter").made
    assert child is not None
    ledger.move(child, Move.CANCEL, now=NOW)
    local = {"clips": replace(folder_of(home), engine=EnginePolicy.LOCAL)}
    refused = apply(ledger, Verb.RETRY, child, local, now=NOW)
    assert (refused.done, "this machine alone" in refused.says) == (False, True)
    assert apply(ledger, Verb.RETRY, child, folders, now=NOW).done
    again = read(ledger, child)
    assert (again.state, again.media, again.instruction, again.present) == (JobState.QUEUED, MEDIA, "shorter", False)
    assert (again.folder.after, again.folder.failed) == (After.KEEP, None)


# -- refusals -----------------------------------------------------------------------------------------------------------------


def test_what_cannot_be_asked_is_refused_in_words(home: Home, ledger: Ledger, nemod: Callable[..., Ran]) -> None:
    """Code 2 for a job that there is not, 1 for one that cannot be asked; nothing is written, and nobody is called."""
    done, local, waits = made(ledger, home), made(ledger, home, None, "local.mp4"), add(ledger, home, "new.mp4")
    here = f"Job {local} was made on this machine; there is no cloud session to go on in."
    expected = [
        ("99", "shorter", ExitCode.USAGE, "There is no job 99."),
        (str(done), " ", ExitCode.FAILED, "Nothing was asked."),
        (str(local), "shorter", ExitCode.FAILED, here),
        (str(local), "status", ExitCode.FAILED, here),
        (str(waits), "shorter", ExitCode.FAILED, f"Job {waits} has not come to the cloud; there is no session to go on in."),
    ]
    for job, words, code, says in expected:
        ran = nemod("ask", job, words)
        assert (ran.code, ran.err.splitlines()[0], ran.out) == (code, f"nemod: {says}", "")
    assert len(ledger.jobs()) == 3


@pytest.mark.parametrize("daemon", ["a daemon", "no daemon"])
def test_a_job_that_is_under_way_is_not_asked(home: Home, ledger: Ledger, nemod: Callable[..., Ran], daemon: str) -> None:
    """It has been to the cloud and is still at it: its session takes one thing after the other."""
    first = made(ledger, home)
    child = apply(ledger, Verb.ASK, first, {}, now=NOW, text="shorter").made
    lock = Lock(home.state / FILE, create=True) if daemon == "a daemon" else None
    try:
        ran = nemod("ask", str(child), "still shorter")
    finally:
        if lock is not None:
            lock.release()
    assert (ran.code, ran.err) == (ExitCode.FAILED, f"nemod: Job {child} is queued; ask again when it has ended.\n")
    assert len(ledger.jobs()) == 2
    assert ledger.requests() == ()


def test_a_folder_that_is_local_now_keeps_its_jobs_here(home: Home, ledger: Ledger, nemod: Callable[..., Ran]) -> None:
    """The person has changed the config since: nothing more of it goes to the cloud, not even a question."""
    first = made(ledger, home)
    home.configure(CONFIG.format("local"))
    for words in ("shorter", "export", "status", "credits", "upload"):
        ran = nemod("ask", str(first), words)
        assert ran.code == ExitCode.FAILED
        assert f'The folder "clips" is worked on by this machine alone; nothing of job {first} goes to the cloud.' in ran.err


def test_without_an_account_nobody_is_called(home: Home, ledger: Ledger, nemod: Callable[..., Ran]) -> None:
    """No anonymous account is asked for by looking; the way to one's own is told."""
    first = made(ledger, home)
    for words in ("status", "credits", "upload"):
        ran = nemod("ask", str(first), words)
        assert ran.code == ExitCode.FAILED
        assert "There is no account in the cloud" in ran.err
        assert "nemod account set-token" in ran.err
    assert not (home.path / ".config" / "nemovideo").exists()


def test_a_token_of_another_version_is_told(home: Home, ledger: Ledger, nemod: Callable[..., Ran]) -> None:
    """What nobody can read is no session to look into."""
    first = made(ledger, home, Token("99:what the future writes"))
    assert "another version of nemod" in nemod("ask", str(first), "status").err


# -- what is free -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud of our own."""
    with cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture
def online(sandbox: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The same, as the command finds it in its environment."""
    for name, value in sandbox.env().items():
        monkeypatch.setenv(name, value)
    return sandbox


@asynccontextmanager
async def client_of(sandbox: Cloud, root: Path) -> AsyncIterator[Client]:
    account = Account(root / "own.json", api_url=sandbox.url, env=sandbox.env(), home=root)
    client = Client(Nemo(api_url=sandbox.url), account, anonymous=lambda: False)
    try:
        yield client
    finally:
        await client.close()


def session_with(sandbox: Cloud, home: Home, clip: Path) -> Token:
    """A session in which a video lies; a job's token that tells of it."""

    async def open_it() -> Session:
        async with client_of(sandbox, home.path) as client:
            session = await client.open_session(skill_of(None))
            async for _ in client.upload(skill_of(None), session.id, clip, name=clip.name):
                pass
            async for _ in client.ask(skill_of(None), session.id, "compress this video under 10 MB"):
                pass
            return session

    return token_of(Trip(stage=Stage.MADE, session=asyncio.run(open_it())))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of video."""
    return make_clip(tmp_path_factory.mktemp("clip") / "water.mp4", seconds=2, size=(160, 120))


def test_the_timeline_is_told_in_a_line(
    home: Home, ledger: Ledger, nemod: Callable[..., Ran], online: Cloud, clip: Path
) -> None:
    """In the documented form, while a daemon runs and while the job is under way: it is free, and only a look."""
    online.credits(100)
    first = made(ledger, home, session_with(online, home, clip))
    paid = online.charged()
    lock = Lock(home.state / FILE, create=True)
    try:
        ran = nemod("ask", str(first), "status")
        shown = nemod("ask", str(first), "show tracks", "--json").json()
    finally:
        lock.release()
    assert ran.code == ExitCode.OK, ran.err
    assert ran.out.startswith("Timeline (1 tracks): 1. Video: ") or ran.out.startswith("Timeline (1 track): 1. Video: ")
    assert shown == {"job": first, "timeline": ran.out.rstrip("\n")}
    assert online.charged() == paid
    assert ledger.requests() == ()


def test_credits_are_asked_for_and_told(home: Home, ledger: Ledger, nemod: Callable[..., Ran], online: Cloud) -> None:
    """As `nemod credits` tells them; the session itself need not be there any more."""
    online.credits(250)
    first = made(ledger, home)
    ran = nemod("ask", str(first), "how many credits are left?")
    assert (ran.code, ran.out) == (ExitCode.OK, "Credits: 250 available, 0 frozen for work under way, 250 in total\n")
    assert nemod("ask", str(first), "积分", "--json").json() == {"job": first, "available": 250, "frozen": 0, "total": 250}


def test_a_file_is_put_into_the_session(
    home: Home, ledger: Ledger, nemod: Callable[..., Ran], online: Cloud, clip: Path
) -> None:
    """By its path, with quotes or without; bare, it is the job's own source; nothing is paid."""
    online.credits(100)
    (home.path / "my logo.mp4").write_bytes(clip.read_bytes())
    (home.path / "clips" / "own.mp4").write_bytes(clip.read_bytes())
    first = made(ledger, home, session_with(online, home, clip), "own.mp4")
    paid, before = online.charged(), online.count("upload")
    for words in (["upload", "my logo.mp4"], ["please upload 'my logo.mp4'"], ["上传", str(home.path / "my logo.mp4")]):
        ran = nemod("ask", str(first), *words)
        assert (ran.code, ran.out) == (ExitCode.OK, f"my logo.mp4 lies in the session of job {first} now.\n"), ran.err
    assert nemod("ask", str(first), "upload", "--json").json() == {"job": first, "uploaded": ["own.mp4"]}
    assert online.count("upload") == before + 4
    assert online.charged() == paid


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["upload", "nope.mp4"], 'There is no file "nope.mp4".'),
        (["upload", "notes.txt"], "The cloud does not take this kind of file: notes.txt"),
        (["upload", "ftp://example.com/a.mp4"], "Only an http or https address can be uploaded"),
        (["upload", "big.mp4"], "big.mp4 is larger than the 1.0 KB that the cloud takes at once."),
        (["upload"], "The source of job 1 is no longer at "),
    ],
)
def test_what_cannot_be_uploaded_is_told(
    home: Home, ledger: Ledger, nemod: Callable[..., Ran], online: Cloud, words: list[str], says: str
) -> None:
    """Before anything is sent, and with what would go."""
    home.configure("[nemo]\nupload_limit = 1000\n" + CONFIG.format("nemo"))
    for name in ("notes.txt", "big.mp4"):
        (home.path / name).write_bytes(b"x" * 2000)
    first = made(ledger, home)
    (home.path / "clips" / "clip.mp4").unlink()
    before = online.count("upload")
    ran = nemod("ask", str(first), *words)
    assert ran.code == ExitCode.FAILED
    assert says in ran.err
    assert online.count("upload") == before


def test_nothing_is_uploaded_while_the_session_is_at_work(home: Home, ledger: Ledger, nemod: Callable[..., Ran]) -> None:
    """Another job goes on in it: one thing after the other."""
    first = made(ledger, home)
    child = apply(ledger, Verb.ASK, first, {}, now=NOW, text="shorter").made
    assert ledger.claim(Lane.LIGHT, now=NOW) is not None
    lock = Lock(home.state / FILE, create=True)
    try:
        ran = nemod("ask", str(first), "upload")
    finally:
        lock.release()
    assert (ran.code, f"Job {child} is at work in the same session" in ran.err) == (ExitCode.FAILED, True)


def test_what_the_cloud_says_no_to_is_told_without_a_secret(
    home: Home, ledger: Ledger, nemod: Callable[..., Ran], online: Cloud
) -> None:
    """A session that it does not know, in words and code 1."""
    first = made(ledger, home)
    ran = nemod("ask", str(first), "status")
    assert ran.code == ExitCode.FAILED
    assert ran.err.startswith("nemod: ")
    assert "Traceback" not in ran.err
    assert online.token not in ran.err


# -- words --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["upload"], ()),
        (["upload it again, please"], ()),
        (["upload logo.png"], ("logo.png",)),
        (["upload", "logo.png", "song.mp3"], ("logo.png", "song.mp3")),
        (["upload logo.png and song.mp3."], ("logo.png", "song.mp3")),
        (["Upload 'my logo.png'"], ("my logo.png",)),
        (["upload", "my logo.png"], ("my logo.png",)),
        (["上传 a.mp4"], ("a.mp4",)),
        (["上传a.mp4"], ("a.mp4",)),
        (["upload ~/upload/a.mp4"], ("~/upload/a.mp4",)),
        (["upload https://example.com/upload/a.mp4?x=1"], ("https://example.com/upload/a.mp4?x=1",)),
        (["upload the logo"], ("logo",)),
        (["upload it's.mp4"], ("it's.mp4",)),
    ],
)
def test_what_an_upload_names(words: list[str], found: tuple[str, ...]) -> None:
    """Paths and addresses, without the words around them."""
    assert things(words) == found
