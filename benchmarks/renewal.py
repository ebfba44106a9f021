"""Count requests without a reply while the certificate is renewed under load: ``python -m benchmarks.renewal 20``.

One client keeps its connection and compares two faces. The others open a TLS connection for each request. The exit
code is 1 if a request was lost or if clients did not see every certificate.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.renewal import renewed_under_load


def main() -> int:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with TemporaryDirectory() as folder:
        outcome = renewed_under_load(times, Path(folder))
    print(
        f"{times} renewals: answered {dict(outcome.codes)} after {outcome.handshakes} handshakes with "
        f"{outcome.certificates} certificates, lost {outcome.lost}"
    )
    return 0 if not outcome.lost and outcome.certificates == times + 1 else 1


if __name__ == "__main__":
    sys.exit(main())
