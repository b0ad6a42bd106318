"""What the audit of dependencies makes of its answers, on recorded ones."""

import runpy
from pathlib import Path

import pytest

AUDIT = runpy.run_path(str(Path(__file__).parents[2] / ".ci" / "audit.py"), run_name="audit")
GOOD = {"name": "httpx", "version": "0.28.1", "vulns": []}
UNKNOWN = {"name": "rich", "skip_reason": "Dependency not found on PyPI and could not be audited: rich (15.0)"}
HOLED = {"name": "pyyaml", "version": "5.3", "vulns": [{"id": "PYSEC-2021-142", "fix_versions": ["5.4"], "aliases": []}]}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([GOOD, HOLED], 1, "pyyaml 5.3: PYSEC-2021-142, mended in 5.4"),
        ([UNKNOWN, HOLED], 1, "known holes"),
        ([GOOD, GOOD], 0, "audit: 2 packages have no known holes."),
        ([GOOD, UNKNOWN], 0, "audit: 1 packages have no known holes; cannot tell of 1 more."),
        ([UNKNOWN, UNKNOWN], 0, "cannot tell; the service that was asked knows none of the 2 packages"),
        ([], 0, "cannot tell"),
    ],
)
def test_a_finding_fails_and_not_knowing_is_not_called_clean(
    packages: list[dict[str, object]], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hole ends the build; a mirror that knows no advisories is told apart from a clean bill."""
    assert AUDIT["judge"](packages) == code
    assert said in capsys.readouterr().out
