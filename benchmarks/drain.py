"""Count accepted requests without a reply after SIGTERM under load, repeatedly.

``python -m benchmarks.drain 50 --workers 2 --tls`` starts 50 services of two server processes each, which speak https.

Two kinds of client load a real server. Some keep their connection and compare two faces. The others open a connection
for each request, which the server rejects quickly. Then the server receives SIGTERM. A request is lost if its
connection was accepted and no complete reply arrived. The exit code is 1 if a request was lost, if readiness did not
drop before the listener closed, or if a server's exit code was not 0.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.termination import terminated_under_load
from tests.support.tls import TlsFiles


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("times", nargs="?", type=int, default=50)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--tls", action="store_true")
    args = parser.parse_args()
    with TemporaryDirectory() as folder:
        return drain(args.times, args.workers, TlsFiles(Path(folder)) if args.tls else None)


def drain(times: int, workers: int, tls: TlsFiles | None) -> int:
    outcomes = []
    for number in range(1, times + 1):
        outcome = terminated_under_load({"COMPAREFACE_SERVER__WORKERS": str(workers)}, tls=tls)
        outcomes.append(outcome)
        print(f"{number:>4}  answered {dict(outcome.codes)}  lost {outcome.lost}  exit code {outcome.exit_code}")
    answered = sum((outcome.codes for outcome in outcomes), Counter[str]())
    print(f"{times} times SIGTERM: answered {dict(answered)}, lost {sum(len(outcome.lost) for outcome in outcomes)}")
    return 0 if all(outcome.is_good for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
