"""The reference site on real FRR: one network namespace a router, the clouds played by FRR too."""

from lab.frr.lab import FrrLab

__all__ = ["FrrLab"]
