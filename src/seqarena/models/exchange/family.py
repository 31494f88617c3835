"""What a family of published models has to say so that its weights can cross both ways."""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

from torch import Tensor

from seqarena.mixers.attention.attention import AttentionConfig
from seqarena.mixers.base import Mixer
from seqarena.models.any import AnyConfig
from seqarena.models.exchange.settings import Settings
from seqarena.models.language.bert import Bert
from seqarena.models.stacks.language_model import LanguageModel

Published = LanguageModel | Bert
ATTENTION = "seqarena.mixers.attention.attention:Attention"


class WeightMatch(NamedTuple):
    """Rows `first` .. `end` of our parameter, by its name, are their tensor.

    `also` are names under which a file may hold the same numbers again, or instead. `rows` (first,
    end, how many it has) are those of their tensor where it holds several of our parameters.
    """

    theirs: str
    ours: str
    first: int = 0
    end: int | None = None
    transposed: bool = False
    also: tuple[str, ...] = ()
    rows: tuple[int, int, int] | None = None

    def taken(self, tensor: Tensor) -> Tensor:
        """Ours from theirs."""
        part = tensor if self.rows is None else tensor[self.rows[0] : self.rows[1]]
        return self.oriented(part)

    def their_shape(self, ours: Tensor) -> tuple[int, ...]:
        """That of their whole tensor, whose part our rows `first` .. `end` are."""
        shape = self.oriented(ours[self.first : self.end]).shape
        return tuple(shape) if self.rows is None else (self.rows[2], *shape[1:])

    def oriented(self, tensor: Tensor) -> Tensor:
        """Theirs from ours, and ours from theirs."""
        return tensor.T if self.transposed else tensor


class Spare(NamedTuple):
    """Tensors that published files hold and that the model does without, by their names.

    `holds` is asked of the numbers themselves, with our configuration: a tensor that fails it is
    not what its name says, and is refused.
    """

    pattern: re.Pattern[str]
    words: str
    holds: Callable[[Tensor, Any], bool] | None = None


class PublishedFamily(NamedTuple):
    """A family: `read` its settings, `write` ours, `places` of the tensors of a model of it.

    `spellings` gives the names that a file may use for one of theirs. `layer` finds the number of
    a layer in a name. `misfits` says why a model of ours has no place in the layout.
    """

    title: str
    architectures: tuple[str, ...]
    read: Callable[[Settings], AnyConfig]
    harmless: frozenset[str]
    write: Callable[[Any], dict[str, Any]]
    places: Callable[[Any], Iterator[WeightMatch]]
    spellings: Callable[[str], tuple[str, ...]]
    layer: re.Pattern[str]
    spares: tuple[Spare, ...]
    misfits: Callable[[Any], Iterator[str]]


def blocks(model: Published) -> Iterator[tuple[int, str]]:
    """The number and our name of each layer."""
    for number in range(len(model.stack.blocks)):
        yield number, f"stack.blocks.{number}"


def pair(theirs: str, ours: str, transposed: bool = False) -> Iterator[WeightMatch]:
    """A weight and its bias."""
    yield WeightMatch(f"{theirs}.weight", f"{ours}.weight", transposed=transposed)
    yield WeightMatch(f"{theirs}.bias", f"{ours}.bias")


def embedding_and_head(model: LanguageModel, theirs: str) -> Iterator[WeightMatch]:
    """The table of tokens, and the head where it is not the same."""
    tied = model.config.tie_embeddings
    also = ("lm_head.weight",) if tied else ()
    yield WeightMatch(theirs, "embedding.tokens.weight", also=also)
    if not tied:
        yield WeightMatch("lm_head.weight", "head.weight")


def without(*prefixes: str) -> Callable[[str], tuple[str, ...]]:
    """Spellings of a name: as it is, and without one of the prefixes."""

    def spelled(name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys((name, *(name.removeprefix(prefix) for prefix in prefixes))))

    return spelled


def differing(found: dict[str, tuple[Any, Any]]) -> Iterator[str]:
    """A sentence for each of our settings that is not the one that the layout has."""
    for name, (ours, theirs) in found.items():
        if ours != theirs:
            yield f"its {name} is {ours!r}, and the layout has only {theirs!r}"


def stack_misfits(model: LanguageModel, mixer: type[Mixer], **stack: Any) -> Iterator[str]:
    """Why a stack of one kind of layer is no language model of the layout."""
    config, mixers = model.config, model.stack.mixers
    if config.form != "tokens" or config.targets != "classes" or config.num_outputs is not None:
        yield "it is not a language model of its own inputs"
    for name in ("features", "categories", "num_characters", "num_segments"):
        if getattr(config, name):
            yield f"its inputs have {name}, and those of the layout are tokens only"
    if not mixers or any(type(layer) is not mixer for layer in mixers):
        yield f"not all of its layers are {mixer.__name__}"
    elif any(_wiring(layer) != _wiring(mixers[0]) for layer in mixers):
        yield "its layers differ from each other"
    elif getattr(mixers[0].config, "gate", False):
        yield "its attention has a gate, and that of the layout has none"
    stack = {"norm_position": "pre", "residual": True, "short_convolution": 0, **stack}
    yield from differing(
        {name: (getattr(config.stack, name), value) for name, value in stack.items()}
    )


def attention_options(model: LanguageModel) -> AttentionConfig:
    """Those of every layer, of a stack of attention."""
    return cast("AttentionConfig", model.stack.mixers[0].config)


def _wiring(mixer: Mixer) -> dict[str, Any]:
    return mixer.config.model_dump(exclude={"algorithm"})
