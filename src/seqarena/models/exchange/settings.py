"""What a config.json says, read one setting at a time.

A setting is read with its type and limits, or it must have one value, or it is known to change no
number of a forward pass in float32. Any other is refused by its name.
"""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from seqarena.core.errors import UserError

Choice = TypeVar("Choice")

# Of every family: how to train, to write text or to lay out answers, and who wrote the file.
HARMLESS = frozenset(
    {
        "_name_or_path", "name_or_path", "architectures", "model_type", "torch_dtype", "dtype",
        "transformers_version", "transformers.js_config", "_commit_hash", "_attn_implementation",
        "_attn_implementation_autoset", "attn_implementation", "_flash_attn_2_enabled", "use_cache",
        "gradient_checkpointing", "initializer_range", "output_attentions", "output_hidden_states",
        "output_past", "output_scores", "return_dict", "use_return_dict", "return_dict_in_generate",
        "torchscript", "use_bfloat16", "tf_legacy_loss", "bos_token_id", "eos_token_id",
        "pad_token_id", "sep_token_id", "cls_token_id", "mask_token_id", "unk_token_id",
        "decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id", "suppress_tokens",
        "begin_suppress_tokens", "bad_words_ids", "tokenizer_class", "prefix", "max_length",
        "min_length", "max_new_tokens", "do_sample", "early_stopping", "num_beams",
        "num_beam_groups", "diversity_penalty", "temperature", "top_k", "top_p", "typical_p",
        "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
        "encoder_no_repeat_ngram_size", "num_return_sequences", "remove_invalid_values",
        "exponential_decay_length_penalty", "task_specific_params", "finetuning_task",
        "problem_type", "id2label", "label2id", "num_labels", "_num_labels",
        "chunk_size_feed_forward", "unsloth_version", "unsloth_fixed", "model_max_length", "name",
        "language",
    }
)  # fmt: skip
# What every family must say, where it says anything: any other value is another model.
ONLY: dict[str, Any] = {
    "is_encoder_decoder": False,
    "add_cross_attention": False,
    "cross_attention_hidden_size": None,
    "tie_encoder_decoder": False,
    "pruned_heads": {},
    "per_layer_config": None,
    "quantization_config": None,
}
# A family's defaults are numbers of its own tokenizer, which mean other words in ours.
NO_SPECIAL_TOKENS = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
OWN_CODE = "it names code of its own, which is never run: the model may compute otherwise"


class Settings:
    """The fields of a config.json. Every reader notes which it has read; `finish` refuses the rest.

    `shapes` are those of the file's tensors. `largest` is the longest axis of any that has numbers:
    no size goes beyond it, so that one that is absurd is refused before anything is built.
    """

    def __init__(
        self,
        fields: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]],
        *,
        ignore: Iterable[str] = (),
        of: str = "",
    ) -> None:
        self.shapes = shapes
        filled = (shape for shape in shapes.values() if math.prod(shape))
        self.largest = max((size for shape in filled for size in shape), default=0)
        self.notes: list[str] = []
        self.assumed: dict[str, Any] = {}  # a setting that the file does not have -> its default
        self._of = of
        self._ignore = frozenset(ignore)
        self._ignored = sorted(fields.keys() & self._ignore)
        self._fields = {name: fields[name] for name in fields if name not in self._ignore}
        self.asked: set[str] = set()  # by a reader, whether the file has them or not

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def size(self, *names: str, default: int | None) -> int:
        """A whole number from 1 to `largest`. `names` are spellings of one setting. Raises
        UserError, as all readers do, for what it cannot be."""
        value = self._one_of(names, default)
        self._must(type(value) is int and value >= 1, names, value, "a whole number of at least 1")
        if value > self.largest:
            raise UserError(
                f"{self._called(names)} = {_shown(value)} cannot be read: no tensor has an axis of "
                f"more than {self.largest:,}"
            )
        return value

    def layers(self, *names: str, default: int) -> int:
        """How many there are: at most as many as tensors."""
        value = self._one_of(names, default)
        good = type(value) is int and 1 <= value <= len(self.shapes)
        self._must(
            good, names, value, f"a whole number from 1 to {len(self.shapes):,}, the tensors"
        )
        return value

    def size_or_none(self, *names: str, none: str | None = None) -> int | None:
        """A size; None where it is not said, or said to be null or the word `none`."""
        if all(self._fields.get(name) in (None, none) for name in names):
            self.asked.update(names)
            return None
        return self.size(*names, default=None)

    def number(self, *names: str, default: float, above: float, below: float) -> float:
        """A finite number between the two, both excluded."""
        value = self._one_of(names, default)
        good = type(value) in (int, float) and above < value < below  # a NaN is in no interval
        self._must(good, names, value, f"a number above {above:g} and below {below:g}")
        return float(value)

    def labels(self) -> int:
        """Labels of a head that classifies: as many as have names, or as are said; else two.
        One label is a number (a regression)."""
        names, said = self._fields.get("id2label"), self._fields.get("num_labels")
        if names is None:
            count = self.size("num_labels", default=2)
        else:
            good = isinstance(names, dict) and 1 <= len(names) <= self.largest
            self._must(good, ("id2label",), names, "an object of at least one name")
            count = len(names)
            self._must(said in (None, count), ("num_labels",), said, f"{count}, as in id2label")
        kind = self._fields.get("problem_type")
        wanted = "regression" if count == 1 else "single_label_classification"
        self._must(kind in (None, wanted), ("problem_type",), kind, f"{wanted!r} or null")
        return count

    def architecture(self) -> str | None:
        """The class whose weights these are, as the file says; None where it does not. Where the
        weights lie as torch has them, the classes of TensorFlow and Flax are the same."""
        named = self._fields.get("architectures") or [None]
        good = isinstance(named, list) and all(isinstance(name, str | None) for name in named)
        self._must(good, ("architectures",), named, "a list of names")
        first: str | None = named[0]
        return None if first is None else first.removeprefix("TF").removeprefix("Flax")

    def flag(self, *names: str, default: bool) -> bool:
        value = self._one_of(names, default)
        self._must(type(value) is bool, names, value, "true or false")
        return value

    def choice(self, *names: str, default: str, choices: Mapping[str, Choice]) -> Choice:
        """The choice that a word names."""
        value = self._one_of(names, default)
        known = isinstance(value, str) and value in choices
        self._must(known, names, value, " or ".join(repr(word) for word in choices))
        return choices[value]

    def inner(self, name: str) -> "Settings | None":
        """The settings that lie in an object of their own; None where it is not said or null."""
        self.asked.add(name)
        fields = self._fields.get(name)
        if fields is None:
            return None
        self._must(isinstance(fields, dict), (name,), fields, "an object or null")
        inner = Settings(fields, self.shapes, ignore=self._ignore, of=f"{self._of}{name}.")
        inner.notes, inner.assumed = self.notes, self.assumed
        return inner

    def said(self, name: str) -> Any:
        """As the file has it; None where it does not."""
        self.asked.add(name)
        return self._fields.get(name)

    def only(self, **values: Any) -> None:
        """Settings that we have in one form: it is their default as well."""
        for name, value in values.items():
            found = self._fields.get(name, value)
            self.asked.add(name)
            if found is None and not value:  # null: it is off
                continue
            same = found == value and type(found) is type(value)
            self._must(same, (name,), found, json.dumps(value))

    def finish(self, harmless: frozenset[str], architectures: tuple[str, ...] = ()) -> None:
        """Raises UserError for a setting that no reader asked for and that is not known to be
        harmless, and for another architecture; notes what was assumed and what is passed over."""
        if architectures and self.architecture() not in (None, *architectures):
            raise UserError(
                f"architectures = {_shown(self.architecture())}: {', '.join(architectures)} can be "
                "read"
            )
        if "auto_map" in self._fields:
            raise UserError(f"{self._of}auto_map: {OWN_CODE}; {_way_out('auto_map')}")
        self.only(**ONLY)
        if self.assumed and not self._of:
            words = ", ".join(f"{name} = {_shown(value)}" for name, value in self.assumed.items())
            self.notes.append(f"config.json does not say, so these are assumed: {words}")
        rest = [name for name in self._fields if name not in self.asked | harmless | HARMLESS]
        for name in rest:
            value = self._fields[name]
            if value is not None and value is not False and value not in ("", [], {}):
                raise UserError(
                    f"setting {self._of + name!r} = {_shown(value)} is not known here and may "
                    f"change what the model computes; {_way_out(name)}"
                )
        if dropouts := [name for name in self._fields if "drop" in name and self._fields[name]]:
            words = ", ".join(sorted(dropouts))
            self.notes.append(f"the model has no dropout: {words} are passed over")
        if self._ignored:
            self.notes.append(f"passed over, as you say: {', '.join(self._ignored)}")
        if rest:
            self.notes.append(f"passed over, as they are off: {', '.join(map(repr, sorted(rest)))}")

    def _one_of(self, names: tuple[str, ...], default: Any) -> Any:
        self.asked.update(names)
        said = {name: self._fields[name] for name in names if name in self._fields}
        if not said:
            if default is None:
                raise UserError(f"{self._of}{names[0]} is missing, and it has no default")
            self.assumed[self._of + names[0]] = default
            return default
        values = list(said.values())
        if any(value != values[0] for value in values):
            words = " and ".join(f"{name} = {_shown(value)}" for name, value in said.items())
            raise UserError(f"{words} contradict each other: they are two spellings of one setting")
        return values[0]

    def _must(self, good: bool, names: tuple[str, ...], value: Any, wanted: str) -> None:
        if not good:
            raise UserError(
                f"{self._called(names)} = {_shown(value)} cannot be read: it must be {wanted}"
            )

    def _called(self, names: tuple[str, ...]) -> str:
        return self._of + next((name for name in names if name in self._fields), names[0])


def _way_out(name: str) -> str:
    return f"where it changes nothing, load with ignore=[{name!r}]"


def _shown(value: Any) -> str:
    """As the file has it, cut where it is long."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and abs(value) > 10**15:
        return f"a number of {len(str(abs(value)))} digits"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:56]} ..."
