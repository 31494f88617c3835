"""Any causal mixer as an encoder-decoder: a Transformer's, mixers in place of self-attention.

    encoder layer   x = x + M(N(x)) in both directions;   x = x + FeedForward(N(x))
    decoder layer   x = x + M(N(x));   x = x + CrossAttention(N(x), source)
                    x = x + FeedForward(N(x))

M is the mixer of the layer. The encoder joins its two directions (composed/bidirectional.py); the
decoder's runs over the target alone and is carried from word to word. What is looked up in the
source is looked up by attention, as in Bahdanau et al. 2015: a state of constant size is a poor
place for a whole sentence. Decoding a word therefore costs the mixer's step and one look at the
source. Embeddings, cross-attention and feed-forward layers are those of `transformer_modern`
(transformer.py), so that the two differ in the mixer alone.

Padding enters neither side: rows are put in order, a source's mask goes to both directions and to
cross-attention, and a causal target never sees what follows it.

    B  examples    S, T  positions    D  width
"""

from typing import Any, Literal

from torch import Tensor, nn

from seqarena.core.batch import Problem
from seqarena.core.errors import UserError
from seqarena.core.shapes import lengths_to_mask
from seqarena.mixers.base import Complexity, Mixer
from seqarena.mixers.composed.bidirectional import Bidirectional, BidirectionalConfig
from seqarena.models.encoder_decoders.transformer import Transformer
from seqarena.models.encoder_decoders.transformer_layers import Parts, TransformerOptions
from seqarena.models.stacks.stack import LayerConfig, build_mixer


class MixerEncoderDecoderOptions(TransformerOptions):
    """`cycle` are the mixers of successive layers, `layers` of the encoder and of the decoder
    each. The other fields are those of the Transformer; rotary positions are a mixer's own."""

    cycle: tuple[LayerConfig, ...] = ()
    norm: Literal["layer", "rms"] = "rms"
    norm_position: Literal["post", "pre"] = "pre"
    positions: Literal["none", "sinusoidal"] = "none"  # pyright: ignore
    channel_mixer: Literal["relu", "gated"] = "gated"


class MixerEncoderDecoder(Transformer):
    """Matrices around the mixers start as the Transformer's; a mixer draws its own."""

    Options = MixerEncoderDecoderOptions
    equation = """
        encoder layer   x = x + M(N(x)) in both directions;   x = x + FeedForward(N(x))
        decoder layer   x = x + M(N(x));   x = x + CrossAttention(N(x), source)
                        x = x + FeedForward(N(x))
    """
    complexity = Complexity(
        work="T^2 D + T D^2", serial_steps="the mixer's", path_length="1", state="T D"
    )

    def __init__(self, problem: Problem, width: int, options: MixerEncoderDecoderOptions) -> None:
        if not options.cycle:
            raise UserError("an encoder-decoder of mixers needs one: encoder_decoder:mamba, say")
        if options.layers < len(options.cycle):
            raise UserError(
                f"its pattern has {len(options.cycle)} layers, and {options.layers} hold less: "
                f"give --option layers={len(options.cycle)}"
            )

        def layer(number: int) -> LayerConfig:
            return options.cycle[number % len(options.cycle)]

        parts = Parts(
            lambda number: MixerPart(_both_ways(layer(number), width)),
            lambda number: MixerPart(build_mixer(layer(number), width)),
        )
        super().__init__(problem, width, options, parts)


class MixerPart(nn.Module):
    """A mixer as a part of a layer (see `Parts`)."""

    def __init__(self, mixer: Mixer) -> None:
        super().__init__()
        self.mixer = mixer

    def all_see_all(self, x_BSD: Tensor, lengths_B: Tensor) -> Tensor:
        """x_BSD -> x_BSD; row b has `lengths_B[b]` real positions first."""
        return self.mixer(x_BSD, mask_BT=lengths_to_mask(lengths_B, x_BSD.shape[1]))[0]

    def each_sees_the_past(self, x_BTD: Tensor, state: Any) -> tuple[Tensor, Any]:
        """x_BTD -> (x_BTD, the state after it)."""
        return self.mixer(x_BTD, state)

    def room(self, batch_size: int, max_length: int) -> Any:
        """The state before the first position."""
        return self.mixer.initial_state(batch_size, max_length)

    @property
    def algorithm(self) -> str:
        return self.mixer.algorithm

    def flops(self, length: int, pairs: int) -> int:
        """A mixer counts its own pairs."""
        return self.mixer.flops(length)

    def state_bytes(self, length: int) -> int:
        return self.mixer.state_bytes(length)

    def serial_steps(self, length: int) -> int:
        return self.mixer.serial_steps(length)


def _both_ways(layer: LayerConfig, width: int) -> Mixer:
    options = dict(layer.options)
    algorithm = options.pop("algorithm", "auto")
    config = BidirectionalConfig(inner=layer.mixer, options=options, algorithm=algorithm)
    return Bidirectional(width, config)
