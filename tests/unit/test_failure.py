"""The failure table: every kind with every number of tries has an answer, and it is the right one."""

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemod.failure import (
    BACKOFF_MOST_S,
    BACKOFF_TIMES,
    FOLDER_HOLD_S,
    HOLD_FIRST_S,
    HOLD_MOST_S,
    LOOKS_CLOSED_S,
    LOOKS_UNKNOWN_S,
    SCOPES,
    Again,
    Cancel,
    Decision,
    Fail,
    Failure,
    Hold,
    Kind,
    Next,
    Park,
    Scope,
    decide,
)

NOW = 1_790_000_000.0
ANSWERS: dict[Kind, type[Decision]] = {
    Kind.UNREACHABLE: Hold,
    Kind.THROTTLED: Hold,
    Kind.TRANSIENT: Again,
    Kind.UNCERTAIN: Next,
    Kind.CREDENTIALS: Hold,
    Kind.CREDITS: Hold,
    Kind.PLAN: Hold,
    Kind.BUSY: Again,
    Kind.INCOMPLETE: Again,
    Kind.REFUSED: Next,
    Kind.UNSUPPORTED: Next,
    Kind.TOO_LARGE: Next,
    Kind.IMPOSSIBLE: Fail,
    Kind.BAD_OUTPUT: Next,
    Kind.NO_SPACE: Hold,
    Kind.NOT_WRITABLE: Hold,
    Kind.UNREADABLE: Fail,
    Kind.SOURCE_CHANGED: Cancel,
    Kind.SOURCE_GONE: Cancel,
    Kind.TOOL_MISSING: Hold,
    Kind.PROTOCOL: Hold,
    Kind.BUG: Park,
}


def answer(kind: Kind, tries: int, *, jitter: float = 0.0, looks: tuple[float, ...] = LOOKS_CLOSED_S) -> Decision:
    return decide(Failure(kind=kind, detail="It broke."), tries=tries, looks=looks, now=NOW, jitter=jitter)


def test_every_kind_has_a_scope_and_an_answer() -> None:
    """Nothing can go wrong that nobody has thought of."""
    assert set(SCOPES) == set(ANSWERS) == set(Kind)


@pytest.mark.parametrize(("kind", "tries"), list(product(Kind, range(7))))
def test_what_follows_from_a_failure(kind: Kind, tries: int) -> None:
    """The same answer each time, but for the two that lose patience."""
    wanted = ANSWERS[kind]
    if kind is Kind.TRANSIENT and tries >= BACKOFF_TIMES:
        wanted = Next
    if kind is Kind.INCOMPLETE and tries >= len(LOOKS_CLOSED_S):
        wanted = Fail
    assert isinstance(answer(kind, tries), wanted)


def test_what_may_have_cost_something_rests_rather_than_fails() -> None:
    """When nobody can follow: what the cloud did is looked at again later; what it will never take is over."""
    parks = {kind for kind in Kind if answer(kind, BACKOFF_TIMES) == Next(park=True)}
    assert parks == {Kind.TRANSIENT, Kind.UNCERTAIN, Kind.REFUSED}


@pytest.mark.parametrize(("kind", "tries"), list(product(Kind, range(7))))
def test_a_hold_is_for_engines_and_folders_only(kind: Kind, tries: int) -> None:
    """A failure that hurts one job never stops the others, and one that hurts all never fails a single job."""
    assert isinstance(answer(kind, tries), Hold) is (SCOPES[kind] is not Scope.JOB)


@pytest.mark.parametrize("looks", [LOOKS_CLOSED_S, LOOKS_UNKNOWN_S, ()])
def test_an_unfinished_file_fails_after_its_looks(looks: tuple[float, ...]) -> None:
    """Each look comes after its own pause; where nobody knows who writes there is patience for hours."""
    for tries, pause in enumerate(looks):
        assert answer(Kind.INCOMPLETE, tries, looks=looks) == Again(due=NOW + pause, counts=True)
    assert answer(Kind.INCOMPLETE, len(looks), looks=looks) == Fail()
    assert list(looks) == sorted(looks)


def test_back_offs_grow_and_end() -> None:
    """Half a minute doubled, then a person is asked."""
    waits = []
    for tries in range(BACKOFF_TIMES):
        decision = answer(Kind.TRANSIENT, tries)
        assert isinstance(decision, Again)
        assert decision.counts
        waits.append(decision.due - NOW)
    assert waits == [30, 60, 120, 240, 480]
    assert answer(Kind.TRANSIENT, BACKOFF_TIMES) == Next(park=True)


@given(tries=st.integers(0, BACKOFF_TIMES - 1), jitter=st.floats(-1, 1))
def test_jitter_spreads_by_a_fifth(tries: int, jitter: float) -> None:
    """Either way, and never beyond the longest wait and that fifth."""
    plain, spread = answer(Kind.TRANSIENT, tries), answer(Kind.TRANSIENT, tries, jitter=jitter)
    assert isinstance(plain, Again)
    assert isinstance(spread, Again)
    wait = plain.due - NOW
    assert 0.8 * wait - 1e-6 <= spread.due - NOW <= 1.2 * wait + 1e-6 <= 1.2 * BACKOFF_MOST_S + 1e-6


@pytest.mark.parametrize("kind", [Kind.UNREACHABLE, Kind.THROTTLED])
def test_holds_grow_to_half_an_hour_and_no_further(kind: Kind) -> None:
    """However many weeks it lasts: ten thousand times in a row is still an answer."""
    held = []
    for tries in (*range(10), 2000, 10_000):
        decision = answer(kind, tries)
        assert isinstance(decision, Hold)
        assert decision.until is not None
        held.append(decision.until - NOW)
    assert held[0] == HOLD_FIRST_S
    assert held[-1] == HOLD_MOST_S
    assert all(one <= other for one, other in pairwise(held))


def test_a_server_that_says_when_is_believed() -> None:
    """`retry_at` is its word, whatever the number of tries."""
    failure = Failure(kind=Kind.THROTTLED, detail="Too fast.", retry_at=NOW + 7)
    assert decide(failure, tries=5, looks=(), now=NOW, jitter=0.3) == Hold(until=NOW + 7)


@pytest.mark.parametrize("kind", [Kind.CREDENTIALS, Kind.CREDITS, Kind.PLAN])
def test_what_only_a_person_can_mend_waits_for_one(kind: Kind) -> None:
    """No time makes a wrong token right; but a day's budget, or a server, may say when."""
    assert answer(kind, 3) == Hold(until=None)
    failure = Failure(kind=kind, detail="Tomorrow.", retry_at=NOW + 9)
    assert decide(failure, tries=0, looks=(), now=NOW, jitter=0) == Hold(until=NOW + 9)


@pytest.mark.parametrize("kind", [Kind.NO_SPACE, Kind.NOT_WRITABLE])
def test_a_folder_is_looked_at_again_soon(kind: Kind) -> None:
    """Somebody makes room, or plugs the drive in, and need not say so."""
    assert answer(kind, 6) == Hold(until=NOW + FOLDER_HOLD_S)


def test_waiting_for_a_writer_uses_up_no_try() -> None:
    """A copy may take all day."""
    decision = answer(Kind.BUSY, 6)
    assert isinstance(decision, Again)
    assert not decision.counts
    assert 0 < decision.due - NOW <= 5
