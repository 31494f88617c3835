"""Generation by everything that writes tokens, and the refusal of what does not."""

from pathlib import Path

import pytest
import torch

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.models.any import build_model
from seqarena.models.build import build, model_config
from seqarena.models.catalog import CATALOG, architecture, why_not
from seqarena.tasks import build_task, parse_task
from seqarena.train import checkpoint
from seqarena.train.budget import Budget
from seqarena.train.loop import TrainConfig, Trainer
from seqarena.use.generate import generate_text, generate_tokens, load_language_model
from seqarena.use.sample import Sampling

GREEDY = Sampling(temperature=0.0)
TASK = build_task(parse_task({"kind": "language", "sequence_length": 32}))
WRITERS = [name for name, row in CATALOG.items() if why_not(row, TASK.problem) is None]


@pytest.mark.parametrize("name", WRITERS)
def test_generation_equals_scoring_the_whole_again(name: str) -> None:
    """Greedy tokens from the state are the argmax of one pass over all of them."""
    model = build(name, vocab_size=19, width=16, depth=2, max_length=24, seed=1).double()
    written = [3, 1, 4, *generate_tokens(model, [3, 1, 4], 12, GREEDY)]
    tokens_1T = torch.tensor([written])
    with torch.no_grad():
        argmax_T = model.answer(Batch(tokens_1T, tokens_1T))[0].argmax(-1)
    assert written[3:] == argmax_T[2:-1].tolist()


def test_a_prompt_of_one_token_is_enough_and_none_is_not() -> None:
    model = build("gru", vocab_size=19, width=16, seed=1)
    assert len(list(generate_tokens(model, [3], 5, GREEDY))) == 5
    with pytest.raises(UserError, match="prompt is empty"):
        next(generate_tokens(model, [], 5, GREEDY))


def stored(place: Path, name: str, task: dict[str, object]) -> Path:
    """A checkpoint of the untrained architecture."""
    config = parse_task(task)
    built = build_task(config)
    model = model_config(architecture(name), built.problem, params=None, width=16, depth=1)
    trainer = Trainer(build_model(model), built, TrainConfig(budget=Budget(steps=1)))
    about = {"task": config.model_dump(mode="json"), "artifacts": built.artifacts()}
    checkpoint.save(place, trainer, about)
    return place


@pytest.mark.parametrize("name", ["wavenet", "nnlm", "bytenet", "gru"])
def test_text_from_a_checkpoint(name: str, tmp_path: Path) -> None:
    place = stored(tmp_path / "checkpoint", name, {"kind": "language", "sequence_length": 32})
    model, tokenizer, _ = load_language_model(place)
    assert "".join(generate_text(model, tokenizer, "The", 5, Sampling()))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("bert", "masked_language"), ("gru", "translation"), ("text_cnn", "classification")],
)
def test_what_writes_no_text_is_refused(name: str, kind: str, tmp_path: Path) -> None:
    place = stored(tmp_path / "checkpoint", name, {"kind": kind})
    with pytest.raises(UserError, match="not a language model"):
        load_language_model(place)
