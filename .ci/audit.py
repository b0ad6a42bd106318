"""Ask whether any installed package has a known hole: `python .ci/audit.py`, or `make audit`.

pip-audit does the asking. Rules kept here:
- a finding fails, and names package, version, advisory and the version that mends it;
- "nobody could be asked" and "the service does not know these packages" are said as such, in a line, and fail nothing: a build
  that is red because a server far away is down teaches people to ignore it;
- it ends by itself after a while, whatever the network does.
"""

import json
import subprocess
import sys
from typing import Any

WHOLE_S = 25
#: Seconds that pip-audit waits for each answer.
ANSWER_S = "5"


def main() -> int:
    """Ask, tell in a line or a list, and return what the build should end with."""
    argv = [sys.executable, "-m", "pip_audit", "--local", "--skip-editable", "--progress-spinner=off"]
    try:
        asked = subprocess.run(
            [*argv, "--timeout", ANSWER_S, "--format", "json"], capture_output=True, text=True, timeout=WHOLE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return _tell(f"audit: cannot tell; the advisory service has not answered within {WHOLE_S} s.")
    try:
        packages: list[dict[str, Any]] = json.loads(asked.stdout)["dependencies"]
    except (ValueError, KeyError):
        why = asked.stderr.strip().splitlines() or ["it said nothing"]
        return _tell(f"audit: cannot tell; the advisory service cannot be asked ({why[-1][:200]}).")
    return judge(packages)


def judge(packages: list[dict[str, Any]]) -> int:
    """What pip-audit's list comes to: 1 when any package has a known hole."""
    known = [package for package in packages if "skip_reason" not in package]
    holes = [
        f"  {package['name']} {package['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'none yet'}"
        for package in known
        for hole in package["vulns"]
    ]
    if holes:
        print("audit: packages with known holes:", *holes, sep="\n")
        return 1
    if not known:
        return _tell(f"audit: cannot tell; the service that was asked knows none of the {len(packages)} packages (a mirror?).")
    unknown = f"; cannot tell of {len(packages) - len(known)} more" if len(known) < len(packages) else ""
    return _tell(f"audit: {len(known)} packages have no known holes{unknown}.")


def _tell(line: str) -> int:
    print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
