"""``python -m app`` runs ``compareface``."""

import sys

from app.cli import main

sys.exit(main())
