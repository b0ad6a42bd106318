"""What the death of an ffmpeg says of the video, and what it does not."""

from nemod.engines.local.faults import of_child
from nemod.failure import Kind
from nemod.media.child import Finished


def test_a_lack_of_memory_may_be_the_machines() -> None:
    """A picture of 8K is honest: the words say what helps before they doubt the video."""
    failure = of_child(Finished(returncode=1, stdout=b"", stderr_tail="Cannot allocate memory", timed_out=False), "pass 1")
    assert failure.kind is Kind.UNSUPPORTED
    assert "more memory" in failure.detail
    assert failure.hint.index("8K") < failure.hint.index("broken")
