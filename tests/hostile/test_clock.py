"""The clock on the wall jumps by days and years, there and back, while videos arrive, settle and are encoded."""

import mmap
import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nemod.job import JobState
from tests.support.clips import make_clip
from tests.support.daemon import Machine, eventually

SLOW = os.environ.get("NEMOD_SLOW") == "1"
DAY_S = 86_400
JUMPS_S = [365 * DAY_S, -DAY_S, 3650 * DAY_S, -3650 * DAY_S, 0] if SLOW else [365 * DAY_S, -DAY_S]
#: Put before the C library: the system's time of day, shifted by what a file says; the steady clock is left alone.
_SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static volatile long *shift;
static int (*real)(clockid_t, struct timespec *);
__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("SHIFT");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    real = dlsym(RTLD_NEXT, "clock_gettime");
    if (file < 0) return;
    void *page = mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED) shift = page;
}
int clock_gettime(clockid_t id, struct timespec *at) {
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(id, at);
    if (!code && shift && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) at->tv_sec += *shift;
    return code;
}
time_t time(time_t *to) { struct timespec at; clock_gettime(CLOCK_REALTIME, &at); if (to) *to = at.tv_sec; return at.tv_sec; }
int gettimeofday(struct timeval *restrict to, void *restrict zone) {
    struct timespec at; clock_gettime(CLOCK_REALTIME, &at);
    to->tv_sec = at.tv_sec; to->tv_usec = at.tv_nsec / 1000; return 0;
}
"""


@pytest.fixture
def set_clock(own: Machine, tmp_path: Path) -> Iterator[Callable[[int], None]]:
    """Set the daemon's clock so many seconds from the true time."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler, by which the clock is shifted")
    (tmp_path / "clock.c").write_text(_SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "clock.so", tmp_path / "clock.c", "-ldl"], check=True)
    (tmp_path / "shift").write_bytes(bytes(8))
    own.more_env |= {"LD_PRELOAD": str(tmp_path / "clock.so"), "SHIFT": str(tmp_path / "shift")}
    with (tmp_path / "shift").open("r+b") as file, mmap.mmap(file.fileno(), 8) as page:

        def set_to(shift_s: int) -> None:
            page[:8] = struct.pack("q", shift_s)

        yield set_to


def test_a_clock_that_jumps_loses_nothing_and_holds_nobody_up(
    own: Machine, set_clock: Callable[[int], None], tmp_path: Path
) -> None:
    """To stay there, for a moment while a file settles, for a moment while it is encoded: each video comes out once."""
    needy = make_clip(tmp_path / "needy.mkv", seconds=1)
    inbox = own.folder("in", preset="tight")
    own.start()
    for jump_s in JUMPS_S:
        set_clock(jump_s)
        year = str(jump_s)
        shutil.copy(needy, inbox / f"{year} stays.mkv")
        own.delivered(f"{year} stays.mkv")
        shutil.copy(needy, inbox / f"{year} settles.mkv")
        set_clock(3 * DAY_S)
        eventually(lambda: len(own.jobs()) > 0)
        set_clock(jump_s)
        own.delivered(f"{year} settles.mkv")
        shutil.copy(needy, inbox / f"{year} encodes.mkv")
        eventually(own.encoding, own.told)
        set_clock(jump_s - 5 * DAY_S)
        eventually(lambda: not own.encoding(), own.told)
        set_clock(jump_s)
        own.delivered(f"{year} encodes.mkv")
    assert own.states() == [JobState.DONE] * 3 * len(JUMPS_S)
    assert len(list((inbox / "done").glob("*.mp4"))) == 3 * len(JUMPS_S)
    assert own.stop() == 0
    assert not own.events("job.bug", "engine.bug")
    assert "Traceback" not in own.told()
