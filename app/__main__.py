"""``python -m app`` is ``compareface``."""

import sys

from app.cli import main

sys.exit(main())
