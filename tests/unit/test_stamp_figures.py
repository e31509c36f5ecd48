"""The figures that the sender makes of its probes."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.stamp_figures import MTU_LEAST, STEP_STAYS_S, Bisection, Probe, Usual, divided, long_count, numbered

DEAD = 5


def probes(fates: str) -> list[Probe]:
    """`.` answered, `o` lost on the way out, `b` lost on the way back, by a reflector that counts for itself."""
    found, counted = [], 0
    for nth, fate in enumerate(fates):
        probe = Probe(nth, float(nth), nth)
        if fate == ".":
            probe.rtt_ms, probe.number = 1.0, counted
        counted += fate != "o"
        found.append(probe)
    return found


def test_numbers_begin_at_none_and_leap_once_so_that_a_counting_reflector_shows() -> None:
    assert [numbered(nth) for nth in range(4)] == [0, 2, 3, 4]
    assert [probe.sequence for probe in probes("....")] == [0, 2, 3, 4]
    assert [probe.number for probe in probes("....")] == [0, 1, 2, 3]


@settings(max_examples=200, derandomize=True)
@given(st.text("..ob", max_size=40))
def test_every_loss_between_two_answers_is_divided_rightly(fates: str) -> None:
    between = fates[fates.find(".") : fates.rfind(".") + 1] if "." in fates else ""
    assert divided(probes(fates)) == (between.count("o"), between.count("b"))


def test_a_reflector_that_began_anew_divides_nothing_there() -> None:
    made = probes("..o..")
    made[3].number, made[4].number = 0, 1
    assert divided(made) == (0, 0)


def test_an_outage_and_what_lies_before_it_do_not_count_as_grey() -> None:
    assert len(long_count(probes("." * 30 + "o" + "." * 9 + "o" * 5 + "." * 7), DEAD)) == 7
    assert len(long_count(probes("." * 30 + "o" * 5), DEAD)) == 0
    assert len(long_count(probes("." * 30 + "o" * 4 + "." * 7), DEAD)) == 41


def test_on_a_lossy_path_many_lost_in_a_row_are_more_of_the_same() -> None:
    assert len(long_count(probes("." * 30 + "o.o.o." + "o" * 5 + "." * 7), DEAD)) == 48
    dice = random.Random(7)
    fates = "." * 40 + "".join("o" if dice.random() < 0.64 else "." for _ in range(1000))
    answered = [at for at in range(80, len(fates)) if fates[at - 1] == "."]
    told = [long_count(probes(fates[max(0, at - 300) : at]), DEAD) for at in answered]
    enough = [len(seen) >= 10 and sum(probe.rtt_ms is None for probe in seen) >= 3 for seen in told]
    assert all(enough), "it never looks sound because one probe came back"


def test_a_long_enough_stretch_without_loss_ends_it() -> None:
    lossy = "....o" * 10  # a fifth
    assert len(long_count(probes(lossy + "." * 20), DEAD)) == 70
    assert len(long_count(probes(lossy + "." * 30), DEAD)) <= 10


def test_a_lasting_loss_is_nearly_always_in_the_count() -> None:
    dice = random.Random(7)
    fates = "".join("o" if dice.random() < 0.1 else "." for _ in range(3000))
    windows = [long_count(probes(fates[at : at + 300]), DEAD) for at in range(0, 2700, 50)]
    enough = [sum(probe.rtt_ms is None for probe in window) >= 3 for window in windows]
    assert sum(enough) >= 0.95 * len(enough)


@settings(max_examples=200, derandomize=True)
@given(st.integers(0, 9216), st.integers(MTU_LEAST, 9216), st.sampled_from([1, 8]))
def test_the_largest_size_is_found_to_the_step(true: int, wanted: int, step: int) -> None:
    search, asked = Bisection(wanted, step), 0
    while search.size is not None:
        search.tell(passed=search.size <= true)
        asked += 1
    assert asked <= 16
    if true >= wanted:
        assert search.passes == wanted
    elif true < MTU_LEAST:
        assert search.passes is None
    else:
        assert search.passes is not None
        assert true - step < search.passes <= true


def test_a_step_does_not_become_the_usual_at_once_but_when_it_has_stayed() -> None:
    usual = Usual(step=20.0, share=0.5)
    assert usual.value() is None
    for at in range(5):
        usual.learn(4.0, float(at), beside=-7.0)
    assert (usual.value(), usual.value(1)) == (4.0, -7.0)
    at = 5.0
    while at < 5.0 + STEP_STAYS_S:
        usual.learn(64.0, at, beside=53.0)
        assert (usual.value(), usual.off_since) == (4.0, 5.0)
        at += 3.0
    usual.learn(64.0, at, beside=53.0)
    assert (usual.value(), usual.value(1), usual.off_since) == (64.0, 53.0, None)


def test_what_is_far_above_once_leaves_no_trace() -> None:
    usual = Usual(step=20.0, share=0.5)
    for at, figure in enumerate([4.0, 4.0, 4.0, 90.0, 5.0]):
        usual.learn(figure, float(at))
    assert (usual.value(), usual.off_since) == (4.0, None)
