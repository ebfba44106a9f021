"""``compareface`` whose device ``cuda`` is the CPU, so that what is special to a GPU runs, batches above all.

Not for measuring: a batch on a CPU takes as long as its items.
"""

from __future__ import annotations

import sys

from app.cli import main
from app.runtime.providers import PROVIDERS

if __name__ == "__main__":
    PROVIDERS["cuda"] = PROVIDERS["cpu"]
    sys.exit(main())
