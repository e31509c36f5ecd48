"""Verbs that read: checks answer at once, waits until a condition holds."""
