"""Weights of layers: each lies in one store, and layers of one model in the same one.

Connecting layers of two stores moves both into one; what pointed into them is made anew when it is next used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import zip_longest
from weakref import WeakKeyDictionary

from ..core import forks
from ..core.plan import PARAMETER_ALIGN, Hidden, Parameter, ParameterLayout, Plan
from ..core.store import Place, Store, latest
from ..errors import ArgumentError
from ..layers import Layer

Lower = Callable[[ParameterLayout | None], Plan]


def store_of(layer: Layer) -> Store | None:
    """Where the weights of a layer lie now, if they were made."""
    store: Store | None = layer._store
    if store is not None and store.moved is not None:
        store = layer._store = latest(store)
    return store


_connecting = forks.lock(forks.Rank.CONNECTING)


def connected(labels: Mapping[Layer, str], lower: Lower, seed: int) -> tuple[Plan, Store]:
    """A plan of layers, and the one store in which they lie from now on.

    Args:
        labels: the layers, by the names that the plan has for them. lower: makes the plan for places that are taken.
        seed: of the weights of layers that have none yet.

    Raises:
        ArgumentError: layers of two dtypes.
    """
    while True:
        stores = _stores(labels)
        with ExitStack() as locks:
            for store in sorted(stores, key=id):
                locks.enter_context(store.lock)
            locks.enter_context(_connecting)
            if all(a is b for a, b in zip_longest(stores, _stores(labels))):  # no thread was first
                return _connected(labels, lower, seed, stores)


def _stores(labels: Mapping[Layer, str]) -> list[Store]:
    """Where the weights of layers lie, the largest store first."""
    stores: dict[int, Store] = {}
    for layer in labels:
        store = store_of(layer)
        if store is not None:
            stores[id(store)] = store
    return sorted(stores.values(), key=lambda store: -store.theta.size)


def _connected(labels: Mapping[Layer, str], lower: Lower, seed: int, stores: Sequence[Store]) -> tuple[Plan, Store]:
    places, size, statistics_size = _joined(stores)
    plan = lower(_layout(labels, places, size, statistics_size) if stores else None)
    if any(store.theta.dtype != plan.dtype for store in stores):
        raise ArgumentError(f"layers of float32 and of float64 cannot share weights; this model is {plan.dtype}")
    known = set(places)
    _register(labels, plan.layout, places)
    layout = plan.layout
    moves = len(stores) != 1 or (layout.size, layout.statistics_size) != (size, statistics_size)
    store = Store(layout.size, layout.statistics_size, plan.dtype) if moves else stores[0]
    store.places = WeakKeyDictionary(places)
    for index, layer in enumerate(labels):
        if layer in places and layer not in known:
            for number, weight in enumerate(layer.parameters()):
                view = store.view(places[layer][weight.name])
                weight.initializer.fill(view, seed=seed, layer=index, number=number)
    if moves:
        _move(stores, store)
    for layer in labels:  # last: other threads find what is complete
        layer._store = store if layer in places else None
    return plan, store


Places = dict[Layer, dict[str, Place]]


def _joined(stores: Sequence[Store]) -> tuple[Places, int, int]:
    """The places of all stores behind each other, and the sizes of their vectors."""
    places: Places = {}
    size = statistics_size = 0
    for store in stores:
        shift = {"theta": size, "statistics": statistics_size}
        for layer, named in store.places.items():
            places[layer] = {
                name: place._replace(offset=place.offset + shift[place.vector]) for name, place in named.items()
            }
        size += _whole(store.theta.size)
        statistics_size += _whole(store.statistics.size)
    return places, size, statistics_size


def _whole(size: int) -> int:
    return -(-size // PARAMETER_ALIGN) * PARAMETER_ALIGN


def _layout(labels: Mapping[Layer, str], places: Places, size: int, statistics_size: int) -> ParameterLayout:
    """What of the places a plan of these layers may name."""
    parameters = tuple(
        Parameter(label, name, place.shape, place.offset, True, place.vector)
        for layer, label in labels.items()
        for name, place in places.get(layer, {}).items()
    )
    return ParameterLayout(parameters, (), size, statistics_size)


def _register(labels: Mapping[Layer, str], layout: ParameterLayout, places: Places) -> None:
    layers = {label: layer for layer, label in labels.items()}
    found: list[Parameter | Hidden] = [*layout.parameters, *layout.hidden]
    for one in found:
        shape = one.shape if isinstance(one, Parameter) else (one.size,)
        vector = one.vector if isinstance(one, Parameter) else "theta"
        places.setdefault(layers[one.layer], {})[one.name] = Place(one.offset, shape, vector)


def _move(stores: Sequence[Store], target: Store) -> None:
    """All of some stores to another one."""
    size = statistics_size = 0
    with ExitStack() as held:
        for store in stores:
            held.enter_context(store.held("connecting layers", writes=True))
        for store in stores:
            target.theta[size : size + store.theta.size] = store.theta
            target.statistics[statistics_size : statistics_size + store.statistics.size] = store.statistics
            size += _whole(store.theta.size)
            statistics_size += _whole(store.statistics.size)
            store.moved = target


__all__ = ["connected", "store_of"]
