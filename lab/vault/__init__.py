"""The lab's Vault: a real OpenBao, storage in memory, behind a front that adds aws/ and azure/."""

from lab.vault.process import LabVaultError, LabVaultMissing
from lab.vault.server import LabVault

__all__ = ["LabVault", "LabVaultError", "LabVaultMissing"]
