"""What may not be read: the superuser may read everything, so tests of permissions put that power down for a while.

Other systems than Linux give it no way to take it up again; there such a test needs an ordinary user.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_NOBODY = 65534
#: Before a command of the superuser's: it runs with no more rights to files than their modes give.
_PLAIN = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


@contextmanager
def ordinary() -> Iterator[Path]:
    """Be an ordinary user, with a folder of one's own that is taken away in the end."""
    with tempfile.TemporaryDirectory() as name:
        own = Path(name).resolve()
        if os.geteuid() != 0:
            yield own
            return
        if sys.platform != "linux":
            pytest.skip("the superuser may do everything")
        os.chown(own, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, 0)
        try:
            yield own
        finally:
            os.setresuid(0, 0, 0)


def without_power() -> tuple[str, ...]:
    """What to put before a command so that modes of files bind it, too."""
    if os.geteuid() != 0:
        return ()
    if sys.platform != "linux":
        pytest.skip("the superuser may do everything")
    return _PLAIN
