"""Verbs that change the network: each looks before it claims, and knows its own undo."""
