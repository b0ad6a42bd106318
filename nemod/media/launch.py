"""What a child is before it becomes ffmpeg or the probe: it takes its limits upon itself, then turns into the program.

Run as a script of its own, `launch.py PARENT NICENESS CORES CPU_S MEMORY_BYTES FILE_BYTES -- PROGRAM ARGUMENTS…`, with "-"
for no limit. A `preexec_fn` is not safe beside threads, so this stands between. Rules kept here:
- nothing but the standard library is imported, and little of it: this is run for every child;
- process, group and descriptors stay the same, so whoever started it speaks to the program itself;
- on Linux it dies with the thread that started it (`PR_SET_PDEATHSIG` in prctl(2)): nobody waits for an orphan's work.

Source: setrlimit(2). RLIMIT_DATA counts what a process may write to, RLIMIT_AS also what is only reserved: an encoder with
many threads reserves a multiple of what it uses. macOS keeps to neither.
"""

import os
import resource
import signal
import sys

#: What the exit code and the first words say when the program could not be started.
NOT_STARTED, SAYS = 126, "nemod.launch: errno "
_PR_SET_PDEATHSIG = 1
#: Seconds of processor time between the signal that may be caught and the one that may not.
_GRACE_S = 10


def limit(which: int, most: int, grace: int = 0) -> None:
    """Lower a limit; one that is lower already stays."""
    hard = resource.getrlimit(which)[1]
    bound = most + grace if hard == resource.RLIM_INFINITY else min(hard, most + grace)
    resource.setrlimit(which, (min(most, bound), bound))


def die_with(parent: int) -> None:
    """Be killed when the parent's thread ends; if it has ended already, end now."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - elsewhere it is not needed

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def keep_to(cores: str) -> None:
    """Run on these cores only."""
    if cores != "-" and sys.platform == "linux":
        try:
            os.sched_setaffinity(0, map(int, cores.split(",")))
        except OSError:  # none of them is there any more: the system took them away from us
            return


def unlimited() -> tuple[str, ...]:
    """What stands before a program that has no limits of ours, but dies with the thread that starts it."""
    return (sys.executable, "-I", "-S", __file__, str(os.getpid()), "0", "-", "-", "-", "-", "--")


def main(argv: list[str]) -> int:
    """Become the program; returns only if that cannot be started."""
    parent, niceness, cores, cpu_s, memory_bytes, file_bytes = argv[1:7]
    program = argv[8:]
    die_with(int(parent))
    os.nice(max(0, int(niceness) - os.nice(0)))  # a service that is polite already need not be so twice
    keep_to(cores)
    limit(resource.RLIMIT_CORE, 0)  # a dump would hold pieces of people's videos
    if cpu_s != "-":
        limit(resource.RLIMIT_CPU, int(cpu_s), _GRACE_S)
    if file_bytes != "-":
        limit(resource.RLIMIT_FSIZE, int(file_bytes))
    if memory_bytes != "-" and sys.platform == "linux":
        limit(resource.RLIMIT_DATA, int(memory_bytes))
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and the program would inherit that
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(program[0], program)  # noqa: S606 - that is what this is for
    except OSError as error:
        sys.stderr.write(f"{SAYS}{error.errno}\n")
    return NOT_STARTED


if __name__ == "__main__":
    sys.exit(main(sys.argv))
