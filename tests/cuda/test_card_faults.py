"""The emulated card as an instrument: programs without a fault pass in every order, and each planted fault is named."""

import numpy as np
import pytest

from emulated_card.raw import Card, CardError
from planted import Fault, Program
from planted_blocks import ASYNC_COPY, COUNTER, DOT, REVERSE
from planted_grids import MESSAGE, RELAXED, RING
from planted_warps import BYTES, LOCAL, WARP_EXCHANGE, WARP_SUM
from requires import instrument

instrument()


PROGRAMS = (REVERSE, COUNTER, ASYNC_COPY, DOT, WARP_SUM, WARP_EXCHANGE, BYTES, LOCAL, MESSAGE, RING)
ORDERS = ("forwards", "backwards", "random", "1", "2")
PLANTED = [pytest.param(p, f, o, id=f"{p.name}: {f.name}, {o}") for p in PROGRAMS for f in p.faults for o in f.orders]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_a_program_without_fault_passes_in_every_order(program: Program, order: str) -> None:
    card = Card(order=order)
    np.testing.assert_array_equal(program.run(card, program.text), program.expected)
    assert card.fault() == ""


@pytest.mark.parametrize(("program", "fault", "order"), PLANTED)
def test_a_planted_fault_is_found(program: Program, fault: Fault, order: str) -> None:
    # One check at a time: in some orders a missing barrier shows first as a read of what is not written yet.
    checks = {"race": "races", "uninitialised read": "uninitialised"}.get(fault.kind, "")
    card = Card(order=order, checks=checks, fuel=1)
    if fault.kind == "bits":
        got = program.run(card, program.mutated(fault), **fault.launch)
        assert (got.view(np.uint32) != program.expected.view(np.uint32)).any() and card.fault() == ""
        return
    with pytest.raises(CardError) as caught:
        program.run(card, program.mutated(fault), **fault.launch)
    if fault.kind == "refused":
        assert caught.value.name == "CUDA_ERROR_INVALID_PTX" and "fuse" in caught.value.text
        return
    assert caught.value.text.startswith(fault.kind), caught.value.text


@pytest.mark.parametrize("way", RELAXED)
def test_fences_make_relaxed_accesses_a_release_and_an_acquire(way: str) -> None:
    repaired = Fault(way, "", RELAXED[way])
    for order in ORDERS:
        card = Card(order=order)
        np.testing.assert_array_equal(MESSAGE.run(card, MESSAGE.mutated(repaired)), MESSAGE.expected)


def test_a_race_names_both_lines() -> None:
    barrier_gone = REVERSE.faults[0]
    with pytest.raises(CardError) as caught:
        REVERSE.run(Card(checks="races"), REVERSE.mutated(barrier_gone))
    assert "st.shared.f32" in caught.value.text and "ld.shared.f32" in caught.value.text
    assert caught.value.text.count("PTX line") == 2
