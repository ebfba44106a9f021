"""``compareface`` whose device ``cuda`` is the CPU, so that batches form. Not for measurements."""

import sys

from app.cli import main
from app.runtime.providers import PROVIDERS

if __name__ == "__main__":
    PROVIDERS["cuda"] = PROVIDERS["cpu"]
    sys.exit(main())
