"""`python -m cgcython` is the `cgcython` command."""

import sys

from cgcython.cli import main

sys.exit(main())
