"""`python -m lab FOLDER ROUTERS`: the detached lab's process."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from lab.supervisor import run_foreground

if __name__ == "__main__":
    gc.set_threshold(100_000, 50, 100)  # what it starts with stays; see console.cli.RARELY
    sys.exit(run_foreground(Path(sys.argv[1]), sys.argv[2]))
