"""The stand-in for the driver: streams that do things as late as they may, events, graphs."""

import ctypes
import threading

import numpy as np
import pytest

from driver_parts import ADD, BY_VALUE, A, N, pinned, scalar
from emulated_card.raw import Card, CardError
from requires import instrument

instrument()

# Streams.


def test_the_host_sees_nothing_before_it_waits() -> None:
    card = Card()
    stream = card.stream()
    out = pinned(card, A)
    out[:] = -1
    a, b, s = card.array(A), card.empty(A), scalar(card, 2)
    card.launch(card.kernel(ADD), 1, N, [a, b, s], stream=stream)
    card.call("cuMemcpyDtoHAsync_v2", out.ctypes.data, b.address, out.nbytes, stream)
    assert (out == -1).all()
    card.call("cuStreamSynchronize", stream)
    np.testing.assert_array_equal(out, A + 2)


def test_pinned_memory_changed_before_its_copy_is_done() -> None:
    card = Card()
    stream = card.stream()
    source, a = pinned(card, A), card.empty(A)
    source[:] = A
    card.call("cuMemcpyHtoDAsync_v2", a.address, source.ctypes.data, A.nbytes, stream)
    source[:] = 0
    np.testing.assert_array_equal(a.get(stream), np.zeros_like(A))
    a.put(A, stream)  # memory that is not pinned is read at once
    np.testing.assert_array_equal(a.get(stream), A)


@pytest.mark.parametrize("ordered", (True, False))
def test_an_event_orders_two_streams_and_nothing_else_does(ordered: bool) -> None:
    card = Card()
    first, second = card.stream(), card.stream()
    kernel, s = card.kernel(ADD), scalar(card, 1)
    a, b, c = card.array(A), card.empty(A), card.empty(A)
    card.launch(kernel, 1, N, [a, b, s], stream=first)
    if ordered:
        event = card.number("cuEventCreate", 2)
        card.call("cuEventRecord", event, first)
        card.call("cuStreamWaitEvent", second, event, 0)
    card.launch(kernel, 1, N, [b, c, s], stream=second)
    if ordered:
        np.testing.assert_array_equal(c.get(second), A + 2)
        return
    with pytest.raises(CardError, match=r"uninitialised|race: .* in another stream"):
        card.call("cuStreamSynchronize", second)
        card.call("cuStreamSynchronize", first)


def test_a_copy_that_a_kernel_of_another_stream_overtakes() -> None:
    card = Card(checks="races")
    first, second = card.stream(), card.stream()
    a, b, s = card.array(A), card.array(A), scalar(card, 1)
    card.launch(card.kernel(ADD), 1, N, [a, b, s], stream=first)
    a.put(A + 1, second)
    with pytest.raises(CardError, match=r"race: a .* that nothing orders after .* in another stream"):
        card.call("cuStreamSynchronize", second)
        card.call("cuStreamSynchronize", first)


def test_waiting_by_the_host_orders_streams() -> None:
    card = Card()
    first, second = card.stream(), card.stream()
    a, b, s = card.array(A), card.empty(A), scalar(card, 1)
    card.launch(card.kernel(ADD), 1, N, [a, b, s], stream=first)
    card.call("cuStreamSynchronize", first)
    a.put(A + 1, second)
    card.call("cuStreamSynchronize", second)


@pytest.mark.parametrize("order", ("forwards", "random"))
def test_threads_of_the_host_launch_at_once(order: str) -> None:
    card = Card(order=order)
    kernel, s = card.kernel(ADD), scalar(card, 1)
    wrong: list[int] = []

    def work(number: int) -> None:
        stream, a, b = card.stream(), card.array(A + number), card.empty(A)
        for _ in range(20):
            card.launch(kernel, 1, N, [a, b, s], stream=stream)
            card.launch(kernel, 1, N, [b, a, s], stream=stream)
        if (b.get(stream) != A + number + 39).any():
            wrong.append(number)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and card.fault() == ""


def test_queries_end() -> None:
    card = Card()
    stream = card.stream()
    a, b, s = card.array(A), card.empty(A), scalar(card, 1)
    for _ in range(3):
        card.launch(card.kernel(ADD), 1, N, [a, b, s], stream=stream)
    asked = 1
    while card.library.cuStreamQuery(stream_handle(stream)):
        asked += 1
    assert asked == 3
    np.testing.assert_array_equal(b.get(stream), A + 1)


def stream_handle(stream: int) -> object:
    return ctypes.c_uint64(stream)


# Graphs.


def captured(card: Card, stream: int, work: list[tuple[int, list[object]]]) -> int:
    card.call("cuStreamBeginCapture_v2", stream, 0)
    for kernel, arguments in work:
        card.launch(kernel, 1, N, arguments, stream=stream)
    graph = end_capture(card, stream)
    made: int = card.number("cuGraphInstantiateWithFlags", graph, 0)
    card.call("cuGraphDestroy", graph)
    return made


def end_capture(card: Card, stream: int) -> int:
    out = ctypes.c_uint64()
    card.call("cuStreamEndCapture", stream, ctypes.byref(out))
    return out.value


def test_a_graph_reads_the_scalar_of_the_card_and_not_of_its_capture() -> None:
    card = Card()
    stream = card.stream()
    a, b, s = card.array(A), card.empty(A), scalar(card, 1)
    graph = captured(card, stream, [(card.kernel(ADD), [a, b, s])])
    assert np.isnan(b.get(stream)).all()  # nothing ran
    for value in (1, 5):
        s.put(np.array([value]), stream)
        card.call("cuGraphLaunch", graph, stream)
        np.testing.assert_array_equal(b.get(stream), A + np.float32(value))


def test_a_stale_scalar_shows_in_the_bits() -> None:
    # The fault that the test above would catch: the scalar captured by its value.
    card = Card()
    stream = card.stream()
    a, b = card.array(A), card.empty(A)
    kernel = card.kernel(BY_VALUE)
    value = np.float32(1)
    graph = captured(card, stream, [(kernel, [a, b, value])])
    value = np.float32(5)
    card.call("cuGraphLaunch", graph, stream)
    assert (b.get(stream) != A + value).any()


def test_a_graph_of_freed_memory() -> None:
    card = Card()
    stream = card.stream()
    a, b, s = card.array(A), card.empty(A), scalar(card, 1)
    graph = captured(card, stream, [(card.kernel(ADD), [a, b, s])])
    card.call("cuMemFree_v2", a.address)
    card.call("cuGraphLaunch", graph, stream)
    with pytest.raises(CardError, match="use after free"):
        card.call("cuStreamSynchronize", stream)


def test_waiting_within_a_capture() -> None:
    card = Card()
    stream = card.stream()
    card.call("cuStreamBeginCapture_v2", stream, 0)
    with pytest.raises(CardError, match="CAPTURE_UNSUPPORTED"):
        card.call("cuStreamSynchronize", stream)
    with pytest.raises(CardError, match="CAPTURE_INVALIDATED"):
        end_capture(card, stream)
