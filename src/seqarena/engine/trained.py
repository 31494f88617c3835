"""Trained models in run folders: finding them, and using one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
from torch import nn

from seqarena.arena.folder import RunFolder
from seqarena.arena.view import read_run
from seqarena.core import words
from seqarena.core.errors import UserError
from seqarena.core.results.records import RunView
from seqarena.core.user_code import allow, check_digest, own_places
from seqarena.models.states.session import Session
from seqarena.tasks.base import Answer
from seqarena.train import checkpoint
from seqarena.use.embed import Embedder
from seqarena.use.evaluate import Evaluation, evaluate_checkpoint
from seqarena.use.frames import is_frame, predicted_frame
from seqarena.use.generate import (
    generate_text,
    load_language_model,
    shortest_prompt,
    to_standard_error,
)
from seqarena.use.predict import Predictor
from seqarena.use.sample import Sampling

if TYPE_CHECKING:
    from seqarena.models.export.forms import Exported


class OwnCode(NamedTuple):
    """Which code outside of seqarena a checkpoint may run: `named` by the user as file.py:Class or
    a class, or, with `trust`, all that the checkpoint records, as long as it has not changed."""

    named: tuple[str | type, ...] = ()
    trust: bool = False

    def allow(self, path: Path) -> None:
        """Lets it run for the checkpoint at `path`, which need not have any.

        Raises UserError for a file that is missing, or is trusted and has changed; warns where a
        file that was named has changed since the training.
        """
        self.allow_named()
        if not (self.named or self.trust):
            return
        about = checkpoint.load(path).about
        digests = about.get("own_code", {})
        for place, recorded in own_places([about["model"], about["task"]]):
            if self.trust:
                allow(place, recorded or digests.get(place))
            if recorded is None:  # a task's; a mixer's is compared when it is loaded
                check_digest(place.rpartition(":")[0], digests.get(place))

    def allow_named(self) -> None:
        """Lets the code run that the user named. Raises UserError for a file that is missing."""
        for code in self.named:
            allow(code.rpartition("=")[2] if isinstance(code, str) else code)


NO_CODE = OwnCode()


class TrainedModel:
    """A model as training left it: its architecture's name and its checkpoint folder."""

    def __init__(self, path: Path, code: OwnCode = NO_CODE) -> None:
        """`path` is a checkpoint folder. Raises UserError where there is none."""
        found = checkpoint.find(path)
        if found is None:
            raise UserError(f"no checkpoint at {path}")
        code.allow(found)
        self.path = found
        self._predictor: Predictor | None = None

    def __repr__(self) -> str:
        return f"TrainedModel({self.architecture!r}, {str(self.path)!r})"

    @property
    def architecture(self) -> str:
        """Its name in the catalog, or the label of a user's own mixer."""
        return str(checkpoint.load(self.path).about["architecture"])

    def module(self) -> nn.Module:
        """The torch module with its weights, in evaluation mode."""
        return checkpoint.load(self.path).model()

    def session(self, *, rollback: int = 0) -> Session:
        """Its state, to be kept between calls, from before the first token: it reads tokens, of
        which the last `rollback` can be taken back."""
        return Session(checkpoint.load(self.path).model(), rollback=rollback)

    def evaluate(
        self, data: str | Path | None = None, settings: Mapping[str, Any] | None = None
    ) -> Evaluation:
        """The test split's scores; or those of other data, in a form that training reads: of their
        test split, or of all of them. `settings` of the task (the fields' names, say) say how
        `data` is read where it is other than in training."""
        return evaluate_checkpoint(self.path, None if data is None else str(data), settings)

    @overload
    def predict(
        self, inputs: Sequence[str], *, beam: int = 1, device: str = "cpu"
    ) -> list[Answer]: ...
    @overload
    def predict(self, inputs: Any, *, beam: int = 1, device: str = "cpu") -> Any: ...
    def predict(self, inputs: Any, *, beam: int = 1, device: str = "cpu") -> Any:
        """One answer for each of `inputs`: a translation, a class, tags, a transcript, by the task.
        A DataFrame of series gives one of forecasts.

        `beam` is the number of hypotheses that are kept where answers are written; 1 is greedy.
        `device` is auto, cpu, cuda or cuda:N.
        """
        predictor = self.predictor(beam=beam, device=device)
        if is_frame(inputs):
            return predicted_frame(predictor, inputs)
        return predictor(list(inputs))

    def predictor(self, *, beam: int = 1, device: str = "cpu") -> Predictor:
        """The model loaded once, for many calls; `beam` and `device` are those of `predict`.

        Raises UserError for tasks without answers.
        """
        old = self._predictor
        if old is None or (old.beam_width, old.device) != (beam, device):
            self._predictor = Predictor(self.path, beam_width=beam, device=device)
        assert self._predictor is not None
        return self._predictor

    def export(
        self,
        out: str | Path | None = None,
        *,
        to: str | None = None,
        precision: str = "float32",
        max_length: int = 1024,
    ) -> "Exported":
        """Writes the model as a file that runs without seqarena, and holds it against the model.

        `to` is onnx, torch (a .pt2), c or hf (a folder); by default what the name `out` says, or
        onnx. `precision` (float32 or int8) and `max_length` (room of a growing cache) are for C.
        Raises UserError for a form that the architecture cannot have, with the reason.
        """
        from seqarena.engine.export import export

        return export(self, out, to=to, precision=precision, max_length=max_length)

    def embed(
        self, texts: Sequence[str], *, pooling: str = "auto", device: str = "cpu"
    ) -> np.ndarray:
        """A vector for each of `texts`: float32 [texts, numbers], by a model of any task that
        reads texts. `pooling` is own (what the model's head reads), mean, last or max (of the
        positions), or auto: own, else last of a causal model and mean of any other. `device` is
        auto, cpu, cuda or cuda:N."""
        return self.embedder(pooling=pooling, device=device)(list(texts))

    def embedder(self, *, pooling: str = "auto", device: str = "cpu") -> Embedder:
        """The model loaded for many calls; `pooling` and `device` are those of `embed`. Raises
        UserError for a model without vectors of texts, and for a pooling that it does not have."""
        return Embedder(self.path, pooling=pooling, device=device)

    def generate(self, prompt: str | None = None, **options: Any) -> str:
        """Text that continues `prompt`, without it; `options` are those of `stream`."""
        return "".join(self.stream(prompt, **options))

    def stream(
        self,
        prompt: str | None = None,
        *,
        count: int = 300,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
        note: Callable[[str], None] = to_standard_error,
    ) -> Iterator[str]:
        """Text that continues `prompt`, without it, piece by piece: `count` tokens, or as many as
        fit into the model's positions, where these end; `note` is told so beforehand. Without a
        prompt it begins as a line does.

        Each is drawn at `temperature` (0 is greedy) from the `top_k` likeliest, or from the
        likeliest that hold the probability `top_p`; `seed` is that of the draws. Raises UserError
        at once for an option out of range and a prompt that the tokenizer cannot spell.
        """
        sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
        model, tokenizer, _ = load_language_model(self.path)
        start = shortest_prompt(tokenizer) if prompt is None else prompt
        return generate_text(model, tokenizer, start, count, sampling, seed=seed, note=note)


def find_start(place: Path, model: str | None) -> tuple[Path, str]:
    """The checkpoint to start from and its architecture."""
    found = checkpoint.find(find_checkpoint(place, None))
    if found is None:
        raise UserError(f"no checkpoint at {place}")
    return found, model or checkpoint.load(found).about["architecture"]


def find_checkpoint(place: Path, model: str | None) -> Path:
    """The checkpoint folder of a run (its best model, or `model`), a trial or a checkpoint."""
    for candidate in (place, place / "checkpoint"):
        if (candidate / "manifest.json").exists() or checkpoint.find(candidate):
            return candidate
    view = read_run(RunFolder(place))
    found = trained_models(place, view)
    if not found:
        raise UserError(f"{place} has no trained model. {'. '.join(words.unranked(view))}")
    wanted = model or next(iter(found))
    if wanted not in found:
        raise UserError(f"{place} has no {wanted!r}: it has {', '.join(found)}")
    return found[wanted]


def trained_models(run: Path, view: RunView | None = None) -> dict[str, Path]:
    """The checkpoint of each ranked architecture, the best first: of the trials at its best
    learning rate, the one that validates best."""
    view = view or read_run(RunFolder(run))
    pick = min if view.lower_is_better else max
    found = {}
    for row in view.ranking.rows if view.ranking else ():
        finished = [
            trial
            for trial in view.trials
            if trial.architecture == row.architecture
            and trial.learning_rate == row.learning_rate
            and trial.validation_value is not None
        ]
        best = pick(finished, key=lambda trial: trial.validation_value or 0.0)
        found[row.architecture] = run / "trials" / best.trial / "checkpoint"
    return found
