"""Azure as the lab serves it: the login endpoint and Azure Resource Manager."""

from lab.azure.app import AzureLab

__all__ = ["AzureLab"]
