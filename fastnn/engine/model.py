"""What training, saving and cloning may ask of a model; `sequential.py` is what answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from ..callbacks import History
from ..core.declaration import Config
from ..core.model import CallbackModel, LayerOwner
from .compiling import Engine, Recipe
from .graph import Flat

if TYPE_CHECKING:
    from ..backends.protocol import Backend
    from .advice import Seen


class TrainableModel(LayerOwner, CallbackModel, Protocol):
    """A model that can be trained, saved and made again from its configuration."""

    name: str
    seed: int
    history: History | None
    metadata: Config

    kind: str

    @property
    def layers(self) -> list[Any]:
        """The layers and models in order."""

    def advice(self, seen: Mapping[int, Seen] | None = None) -> list[str]:
        """What there is to say of the model, or of what a training has `seen`."""

    def flat_graph(self) -> Flat:
        """The graph with the models in it taken apart."""

    @property
    def result_names(self) -> list[str]:
        """What tells the outputs apart, each name once."""

    def inputs_of(self, x: Any) -> list[Any]:
        """What x has for each input, in order."""

    def structured(self, outputs: Sequence[Any]) -> Any:
        """Outputs as the model gives them: one, a list or a dict."""

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""

    @property
    def recipe(self) -> Recipe | None:
        """The arguments of `compile`, or None before it."""

    def get_config(self) -> Config:
        """Name, input shape and layers, without weights."""

    def compile(
        self,
        optimizer: Any,
        loss: Any,
        metrics: Any,
        *,
        weighted_metrics: Any = None,
        loss_weights: Any = None,
        backend: str | Backend | None = "auto",
    ) -> None:
        """Says how to train."""

    def engine(self) -> Engine:
        """The plan and state, made when first needed."""

    def held(self, where: str, writes: bool = False) -> AbstractContextManager[Engine]:
        """The engine, which no program uses meanwhile."""

    def while_training(self) -> AbstractContextManager[None]:
        """What is called inside cannot change what the model is made of, or compiled with."""

    def trainable_engine(self, x: Any) -> Engine:
        """The engine of a compiled model; one without an input shape takes that of x."""

    def predicting_engine(self, x: Any) -> Engine:
        """The engine; a model without an input shape takes that of x."""

    def undone_if_refused(self) -> AbstractContextManager[None]:
        """What is tried on data inside leaves the model as it was if the data are refused."""
