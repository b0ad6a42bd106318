"""`python -m nemod` is the `nemod` command."""

import sys

from nemod.cli.main import main

sys.exit(main())
