"""Count accepted requests without a reply after SIGTERM under load, repeatedly.

``python -m benchmarks.drain 50 --workers 2`` starts 50 services of two server processes each.

Two kinds of client load a real server. Some keep their connection and compare two faces. The others open a connection
for each request, which the server rejects quickly. Then the server receives SIGTERM. A request is lost if its
connection was accepted and no complete reply arrived. The exit code is 1 if a request was lost, if readiness did not
drop before the listener closed, or if a server's exit code was not 0.
"""

import argparse
import sys
from collections import Counter

from tests.support.termination import terminated_under_load


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("times", nargs="?", type=int, default=50)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    outcomes = []
    for number in range(1, args.times + 1):
        outcome = terminated_under_load({"COMPAREFACE_SERVER__WORKERS": str(args.workers)})
        outcomes.append(outcome)
        print(f"{number:>4}  answered {dict(outcome.codes)}  lost {outcome.lost}  exit code {outcome.exit_code}")
    answered = sum((outcome.codes for outcome in outcomes), Counter[str]())
    print(
        f"{args.times} times SIGTERM: answered {dict(answered)}, lost {sum(len(outcome.lost) for outcome in outcomes)}"
    )
    return 0 if all(outcome.is_good for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
