"""What these tests count, and tell at the end of a run beside passed and failed."""

from collections.abc import Callable

import pytest

pytest.register_assert_rewrite("tests.crash.world")

Record = Callable[[str, object], None]
DEATHS = "deaths met"
