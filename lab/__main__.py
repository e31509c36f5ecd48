"""`python -m lab FOLDER ROUTERS`: the detached lab's process."""

from __future__ import annotations

import sys
from pathlib import Path

from lab.supervisor import run_foreground

if __name__ == "__main__":
    sys.exit(run_foreground(Path(sys.argv[1]), sys.argv[2]))
