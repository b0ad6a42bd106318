"""When a file counts as at rest."""

from collections.abc import Iterator, Mapping

from hypothesis import given
from hypothesis import strategies as st

from nemod.intake.settle import Watched, settle
from nemod.job import Fingerprint, Sighting

Steps = list[tuple[float, dict[str, int], bool]]


def seen(relpath: str = "clip.mp4", *, size: int = 10, mtime: int = 1, inode: int = 7) -> Sighting:
    return Sighting(relpath=relpath, fingerprint=Fingerprint(size_bytes=size, mtime_ns=mtime, inode=inode))


def test_a_file_rests_after_the_settle_time_and_is_fresh_once() -> None:
    """The first sighting starts the clock, the one that is late enough reports it, later ones only repeat it."""
    clip = seen()
    first = settle({}, [clip], 100.0, 2.0)
    assert (first.resting, first.fresh, first.next_look) == ((), (), 102.0)
    early = settle(first.watched, [clip], 101.9, 2.0)
    assert (early.resting, early.fresh, early.next_look) == ((), (), 102.0)
    rest = settle(early.watched, [clip], 102.0, 2.0)
    assert (rest.resting, rest.fresh, rest.next_look) == ((clip,), (clip,), None)
    later = settle(rest.watched, [clip], 103.0, 2.0)
    assert (later.resting, later.fresh, later.next_look) == ((clip,), (), None)


def test_any_change_starts_the_clock_anew() -> None:
    """Another size, another time or another inode each make it a file that was only just seen, and fresh again later."""
    for changed in (seen(size=11), seen(mtime=2), seen(inode=8)):
        state = settle(settle({}, [seen()], 0.0, 2.0).watched, [seen()], 2.0, 2.0)
        assert state.resting
        state = settle(state.watched, [changed], 3.0, 2.0)
        assert (state.resting, state.next_look) == ((), 5.0)
        state = settle(state.watched, [changed], 5.0, 2.0)
        assert state.fresh == (changed,)


def test_a_file_that_is_gone_is_forgotten() -> None:
    """When it comes back, even with its old times, it is watched from the start."""
    state = settle(settle({}, [seen()], 0.0, 2.0).watched, [], 1.0, 2.0)
    assert state.watched == {}
    again = settle(state.watched, [seen()], 5.0, 2.0)
    assert (again.resting, again.next_look) == ((), 7.0)


def test_the_next_look_is_for_the_first_that_could_rest() -> None:
    """Of several moving files the oldest decides; one at rest does not."""
    old, new, resting = seen("old"), seen("new"), seen("resting")
    previous = {
        "old": Watched(fingerprint=old.fingerprint, since=9.0),
        "resting": Watched(fingerprint=resting.fingerprint, since=0.0, reported=True),
    }
    state = settle(previous, [new, old, resting], 10.0, 2.0)
    assert (state.resting, state.fresh, state.next_look) == ((resting,), (), 11.0)


def test_even_without_a_settle_time_it_takes_two_sightings() -> None:
    """A single look never tells rest from motion."""
    first = settle({}, [seen()], 1.0, 0.0)
    assert (first.resting, first.next_look) == ((), 1.0)
    assert settle(first.watched, [seen()], 1.0, 0.0).fresh == (seen(),)


@given(start=st.floats(0, 1e7), settle_s=st.floats(0, 3600))
def test_looking_when_told_finds_the_file_at_rest(start: float, settle_s: float) -> None:
    """Rounding must not make the promised moment a moment too early, or the caller would look again and again."""
    first = settle({}, [seen()], start, settle_s)
    assert first.next_look is not None
    assert settle(first.watched, [seen()], first.next_look, settle_s).resting == (seen(),)


@given(
    steps=st.lists(
        st.tuples(st.floats(0, 5), st.dictionaries(st.sampled_from("abc"), st.integers(0, 2)), st.booleans()), max_size=12
    )
)
def test_rest_means_unchanged_for_the_settle_time_and_is_told_once(steps: Steps) -> None:
    """Held against a slow model: every sighting since some moment at least the settle time ago had this fingerprint."""
    now = 0.0
    watched: Mapping[str, Watched] = {}
    history: list[tuple[float, dict[str, Sighting]]] = []
    reported: set[Sighting] = set()
    for pause, files, dropped in steps:
        now += pause
        sightings = [seen(name, size=size) for name, size in files.items()]
        history.append((now, {s.relpath: s for s in sightings}))
        state = settle(watched, sightings, now, 2.0)
        for s in sightings:
            streak = [at for at, what in _streak(history, s)]
            assert (s in state.resting) == (len(streak) > 1 and now >= streak[-1] + 2.0)
        assert set(state.fresh) == set(state.resting) - reported
        if not dropped:  # a caller that could not use the answer keeps the old mapping, and is told again
            watched = state.watched
            reported = set(state.resting)
        else:
            history.pop()


def _streak(
    history: list[tuple[float, dict[str, Sighting]]], sighting: Sighting
) -> Iterator[tuple[float, dict[str, Sighting]]]:
    for at, what in reversed(history):
        if what.get(sighting.relpath) != sighting:
            return
        yield at, what
