"""Count accepted requests without a reply after SIGTERM under load, repeatedly: ``python -m benchmarks.drain 50 tls``.

Two kinds of client load a real server. Some keep their connection and compare two faces. The others open a connection
for each request, which the server rejects quickly. Then the server receives SIGTERM. A request is lost if its
connection was accepted and no complete reply arrived. The exit code is 1 if a request was lost, if readiness did not
drop before the listener closed, or if a server's exit code was not 0. Without ``tls`` the server speaks plain http.
"""

import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.termination import terminated_under_load
from tests.support.tls import TlsFiles


def main() -> int:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with TemporaryDirectory() as folder:
        return drain(times, TlsFiles(Path(folder)) if "tls" in sys.argv[2:] else None)


def drain(times: int, tls: TlsFiles | None) -> int:
    outcomes = []
    for number in range(1, times + 1):
        outcome = terminated_under_load(tls=tls)
        outcomes.append(outcome)
        print(f"{number:>4}  answered {dict(outcome.codes)}  lost {outcome.lost}  exit code {outcome.exit_code}")
    answered = sum((outcome.codes for outcome in outcomes), Counter[str]())
    print(f"{times} times SIGTERM: answered {dict(answered)}, lost {sum(len(outcome.lost) for outcome in outcomes)}")
    return 0 if all(outcome.is_good for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
