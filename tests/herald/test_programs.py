"""A folder's own programs: one after the other in a folder, side by side elsewhere, and of no consequence for the job."""

import json
from pathlib import Path

import pytest

from nemod.ledger.news import HOOK
from tests.herald.conftest import House
from tests.ledger.values import NOW


def lines(file: Path) -> list[str]:
    """What programs have written so far."""
    return file.read_text().splitlines() if file.exists() else []


async def test_programs_of_a_folder_take_turns_and_those_of_two_run_side_by_side(house: House) -> None:
    """Each of the first two waits for the other to begin; the later ones find that nobody else of their folder is at it."""
    script = "mkdir busy.$NEMOD_FOLDER || echo together >> told; touch began.$NEMOD_FOLDER; n=0\n"
    script += (
        'while ! { [ -e began.one ] && [ -e began.two ]; }; do sleep 0.05; done; echo "$NEMOD_FOLDER $NEMOD_JOB" >> told\n'
    )
    script += "rmdir busy.$NEMOD_FOLDER"
    program = house.program(script)
    one, two = house.place("one", on_failed=program), house.place("two", on_failed=program)
    made = await house.start()
    jobs = [(bench.folder.name, bench.failed(f"{name}.mov")) for name in "abc" for bench in (one, two)]
    made.poke()
    await house.until(lambda: len(lines(house.root / "told")) >= len(jobs) and not (one.ledger.hooks_due()))
    told = [tuple(line.split()) for line in lines(house.root / "told")]
    for name in ("one", "two"):
        assert [job for folder, job in told if folder == name] == [str(job) for folder, job in jobs if folder == name]


async def test_a_program_gets_the_job_as_the_command_shows_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the event, and an odd name whole; in its environment the same facts, and no secret of ours."""
    for name in ("NEMO_TOKEN", "NEMOD_NOTIFY_URLS", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "s3cret")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    monkeypatch.setenv("NEMOD_STATE_DIR", "/state")
    program = house.program("cat > given; env > environment; printf %s \"$NEMOD_SOURCE\" > source; echo '$1' > shell")
    bench = house.place(on_failed=(*program, "$HOME; echo"))
    made = await house.start()
    job = bench.failed("odd \udcff $(touch x).mov")
    made.poke()
    await house.until(lambda: house.told("hook.ended"))
    given = json.loads((house.root / "given").read_bytes())
    assert (given["id"], given["state"], given["event"], given["event_try"]) == (job, "failed", "failed", 1)
    assert {"source", "output", "failure", "history", "event_id"} <= given.keys()
    source = str(bench.read(job).source)
    assert given["source"] == source
    assert (house.root / "source").read_bytes() == source.encode("utf-8", "surrogateescape")
    environment = (house.root / "environment").read_bytes()
    assert b"s3cret" not in environment
    assert b"XDG_RUNTIME_DIR=/run/user/1\n" in environment
    assert b"NEMOD_EVENT=failed\n" in environment
    assert b"NEMOD_STATE_DIR=/state\n" in environment
    assert not (house.root / "x").exists()


async def test_a_program_that_fails_is_told_in_the_log_and_not_run_again(house: House) -> None:
    """With its last words; also one that hangs, and one that is not there; the jobs are as they were."""
    broken = house.place("broken", on_failed=house.program("echo first; echo the token=abc >&2; exit 4", "broken"))
    stuck = house.place("stuck", on_failed=house.program("sleep 600", "stuck"))
    gone = house.place("gone", on_failed=("/no/such/program",))
    made = await house.start(hook_timeout_s=0.5)
    jobs = [bench.failed("a.mov") for bench in (broken, stuck, gone)]
    before = [broken.read(job) for job in jobs]
    made.poke()
    await house.until(lambda: len(house.told("hook.failed")) == 3)
    await house.until(lambda: broken.ledger.hooks_due() == ())
    why = {line["folder"]: (line["why"], line.get("said")) for line in house.told("hook.failed")}
    assert why["broken"] == ("It ended with exit code 4.", "first / the token=[redacted]")
    assert why["stuck"][0] == "It was ended after 0.5 s."
    assert why["gone"][0] == "It could not be started: No such file or directory."
    assert [broken.read(job) for job in jobs] == before


async def test_a_program_that_was_begun_three_times_in_vain_is_left_alone(house: House) -> None:
    """It may be what ends the daemon, each time anew."""
    bench = house.place(on_failed=house.program("touch ran"))
    bench.ledger.keep_wishes([(bench.folder.name, "failed", HOOK)], now=NOW)
    bench.failed()
    (news,) = bench.ledger.hooks_due()
    for _ in range(3):
        bench.ledger.begin_telling(news.id)
    await house.start()
    await house.until(lambda: house.told("hook.failed"))
    assert bench.ledger.hooks_due() == ()
    assert not (house.root / "ran").exists()


async def test_a_single_run_waits_for_programs_and_messages(house: House) -> None:
    """It is through only when everything has been told; whoever waits is told when to ask again."""
    bench = house.place(on_failed=house.program("sleep 0.3; touch ran"))
    made = await house.start(digest_s=3600)
    bench.failed()
    assert not await made.through()
    while not await made.through():
        freed = house.freed
        await house.until(lambda: house.freed > freed)  # noqa: B023 - as it is now
    assert (house.root / "ran").exists()
