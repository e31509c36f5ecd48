"""What can go wrong with the lab, said so that one knows what to do."""

from __future__ import annotations


class LabError(Exception):
    """The lab cannot do what was asked; the message says why and what to do."""


class NoLab(LabError):
    """No lab runs in this state folder."""

    def __init__(self) -> None:
        super().__init__("no lab is up here: start one with `interlock lab up --detach`")


class LabRuns(LabError):
    """A lab runs already."""


class UnknownThing(LabError):
    """A word that the lab does not know, or not there; the message names what is possible."""
