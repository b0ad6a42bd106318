"""What holds for the whole suite: how many tests run at once."""

import os


def pytest_xdist_auto_num_workers() -> int:
    """More than there are cores: many tests wait for a moment, a process or a socket."""
    return (os.cpu_count() or 1) * 2
