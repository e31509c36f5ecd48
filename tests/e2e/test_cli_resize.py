"""resize-vxc through the binary, against the embedded lab: the ledger is the outside truth."""

import pytest

pytestmark = pytest.mark.vault
