"""The second look at a test that failed beside others: up to three are named and tried once more, alone; more are no accident.

The suite starts real daemons, sockets and disks, many at once. What fails only in such company is worth a look and is told,
but it is no reason to refuse a change. What fails alone as well is.
"""

import json
import sys
from pathlib import Path

import pytest

MOST = 3
_FAILED = Path(".pytest_cache/v/cache/lastfailed")


def main() -> int:
    """Try them once more; the exit code is pytest's, or 1 where there is nothing that could be tried."""
    failed = sorted(json.loads(_FAILED.read_text())) if _FAILED.exists() else []
    if not 1 <= len(failed) <= MOST:
        return 1
    sys.stdout.write("\nFAILED BESIDE OTHERS, now tried alone:\n" + "".join(f"  {name}\n" for name in failed))
    sys.stdout.flush()
    return pytest.main(["-n", "0", *failed])


if __name__ == "__main__":
    sys.exit(main())
