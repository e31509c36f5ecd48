"""The reference site as a pure model: BGP propagation, links, FRR-shaped consoles and a data plane, unprivileged."""

from lab.embedded.lab import EmbeddedLab

__all__ = ["EmbeddedLab"]
