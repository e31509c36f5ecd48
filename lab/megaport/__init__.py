"""The fabric's API as the lab serves it: token, products, telemetry, events."""

from lab.megaport.app import MegaportLab

__all__ = ["MegaportLab"]
