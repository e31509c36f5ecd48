"""Tests on a machine that is busy with something else: `python -m tests.standstill -q tests/engine`.

pytest is stopped for up to 1.6 s again and again, about half of the time. What fails then and not otherwise has a
deadline that is no promise, compares two moments, or is a fault that a user on a busy host meets too.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from contextlib import suppress

LONGEST_S = 1.6


def main() -> int:
    """Run pytest with these words to its end. Returns its exit code."""
    pytest = subprocess.Popen([sys.executable, "-m", "pytest", *sys.argv[1:]])
    word, then = signal.SIGSTOP, signal.SIGCONT
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                return pytest.wait(random.uniform(0.1, LONGEST_S))
            pytest.send_signal(word)
            word, then = then, word
    finally:
        pytest.send_signal(signal.SIGCONT)


if __name__ == "__main__":
    sys.exit(main())
