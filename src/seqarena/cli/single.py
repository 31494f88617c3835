"""`seqarena train`, `evaluate`, `predict` and `generate`: one architecture at a time."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqarena.cli import compare, options
from seqarena.core.errors import UserError

if TYPE_CHECKING:
    from seqarena.arena.prepare import Prepared, Wish
    from seqarena.models.catalog import Architecture
    from seqarena.tasks import TaskConfig

Where = Annotated[
    Path, typer.Argument(help="A run folder, runs/NAME (its best model), or a checkpoint folder.")
]
Which = Annotated[
    str | None, typer.Option("--model", help="Which architecture of the run. Default: the best.")
]


def train(
    data: compare.Data = None,
    *,
    model: Annotated[
        str | None,
        typer.Option(help="An architecture of the catalog [attention, or that of --start-from]."),
    ] = None,
    start_from: Annotated[
        Path | None,
        typer.Option(
            help="Fine-tune: a run or checkpoint whose model gives all but the head, and its "
            "tokenizer to task classification."
        ),
    ] = None,
    mixer: Annotated[
        str | None, typer.Option(help="Your own mixer instead, my_file.py:MyMixer.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="An option of the mixer, key=value. Repeatable.")
    ] = None,
    task: compare.Task = "language",
    settings: compare.Setting = None,
    params: compare.Params = None,
    width: compare.Width = None,
    depth: compare.Depth = None,
    tokenizer: compare.Tokenizer = None,
    length: compare.Length = None,
    steps: compare.Steps = None,
    epochs: compare.Epochs = None,
    tokens: compare.Tokens = None,
    flops: compare.Flops = None,
    seconds: compare.Seconds = None,
    rate: Annotated[str, typer.Option(help="Learning rate at its peak.")] = "6e-3",
    optimizer: compare.Optimizer = "adamw",
    schedule: compare.Schedule = "cosine",
    warmup: Annotated[float, typer.Option(help="Share of the budget to warm up in.")] = 0.05,
    final_ratio: Annotated[float, typer.Option(help="Last learning rate over the peak.")] = 0.1,
    weight_decay: compare.Decay = 0.1,
    clip: Annotated[float, typer.Option(help="Largest gradient norm; 0: no clipping.")] = 1.0,
    gradient_noise: Annotated[
        float, typer.Option(min=0, help="Variance of noise on the first gradients: 0.01, 0.3, 1.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    batch: compare.Batch = 8,
    accumulation: Annotated[
        int, typer.Option(min=1, help="Pieces that a batch is computed in, to save memory.")
    ] = 1,
    dropout: compare.Dropout = 0.0,
    label_smoothing: compare.Smoothing = 0.0,
    device: compare.Device = "auto",
    dtype: compare.Dtype = "auto",
    name: compare.Name = None,
    runs: compare.Runs = Path("runs"),
) -> None:
    """Train one architecture; the result is a run folder that the other verbs read.

    Stop it at any time; the same command goes on where it stopped.
    """
    from seqarena.arena.prepare import Wish
    from seqarena.models.build import with_options
    from seqarena.tasks import parse_task
    from seqarena.tasks.registry import takes

    source = None
    if start_from is not None:
        sizes = {"--params": params, "--width": width, "--depth": depth, "--option": option,
                 "--mixer": mixer, "--tokenizer": tokenizer}  # fmt: skip
        source, model = find_start(start_from, model, sizes)
    (row,) = options.architectures(
        None if mixer else model or "attention", [mixer] if mixer else []
    )
    row = with_options(row, options.settings(option or []))
    fields = options.task_fields(task, data, tokenizer, length, settings or [])
    if source is not None and takes(task, "reads_like"):
        fields["reads_like"] = str(source)
    config = parse_task(fields)
    peak = options.number(rate, "--rate")
    wish = Wish(
        command=options.command_line(),
        budget=compare.make_budget(steps, epochs, tokens, flops, seconds),
        params=options.whole(params or (None if width or source else "100k"), "--params"),
        width=width,
        depth=depth,
        learning_rates=(peak,),
        first_seed=seed,
        seeds=1,
        repeats=0,
        batch_size=batch,
        accumulation=accumulation,
        optimizer=options.optimizer(
            schedule,
            optimizer,
            learning_rate=peak,
            warmup_fraction=warmup,
            final_ratio=final_ratio,
            weight_decay=weight_decay,
            clip_norm=clip,
            gradient_noise=gradient_noise,
        ),
        label_smoothing=label_smoothing,
        dropout=dropout,
        device=device,
        dtype=dtype,
        jobs=1,
        name=name
        or f"{row.name}-{'tuned-' if source else ''}{Path(data or 'embedded').stem}-{seed}",
        runs=runs,
        start_from=source,
    )
    run_single(wish, config, row)


def run_single(wish: "Wish", config: "TaskConfig", row: "Architecture") -> "Prepared":
    """Trains one model in this process, with a progress bar; prints and draws as `compare` does."""
    from rich.console import Console

    from seqarena.arena.live import comparison_display
    from seqarena.arena.prepare import prepare, write_facts
    from seqarena.arena.run import RunState, run
    from seqarena.jobs.inline import Inline

    console = Console()
    prepared = prepare(wish, config, [row])
    with prepared.folder.lock():
        write_facts(prepared, [row])
        compare.announce(console, prepared)
        task = prepared.task
        state = RunState(prepared.plan, prepared.folder, task.lower_is_better)
        display = comparison_display(console, state, task.metric, 1)
        with display:
            for event in run(state, 1, task=task, executor=Inline(display.show)):
                display.show(event)
        for why in state.failures.values():
            raise UserError(why)
        compare.finish(console, prepared, {})
    return prepared


def evaluate(
    run: Where,
    data: Annotated[
        str | None,
        typer.Argument(help="Other text. Default: the test split that the model was trained for."),
    ] = None,
    *,
    model: Which = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Score a trained model on its test split or on another text, with slices."""
    import json

    from seqarena.use.evaluate import evaluate_checkpoint

    place = find_checkpoint(run, model)
    metric, scores = evaluate_checkpoint(place, data)
    if as_json:
        print(json.dumps({"metric": metric, **scores.model_dump()}, indent=1))
        return
    print(f"{metric}  {scores.value:.4f}  ({scores.num_scored:,} targets)")
    for name, value in scores.slices.items():
        print(f"  {name:<24} {value:.4f}")


def generate(
    run: Where,
    prompt: Annotated[str, typer.Option(help="What the text starts with.")] = "\n",
    *,
    count: Annotated[int, typer.Option(min=1, help="Tokens to generate.")] = 300,
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 0.8,
    top_k: Annotated[int | None, typer.Option(help="Draw among the k likeliest alone.")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Draw among the likeliest that hold this probability.")
    ] = None,
    greedy: Annotated[bool, typer.Option("--greedy", help="The same as --temperature 0.")] = False,
    seed: Annotated[int, typer.Option()] = 0,
    model: Which = None,
) -> None:
    """Generate text, streamed as it comes."""
    from seqarena.use.generate import generate_text, load_language_model
    from seqarena.use.sample import Sampling

    sampling = Sampling(temperature=0.0 if greedy else temperature, top_k=top_k, top_p=top_p)
    language_model, tokenizer, _ = load_language_model(find_checkpoint(run, model))
    sys.stdout.write(prompt)
    for piece in generate_text(language_model, tokenizer, prompt, count, sampling, seed=seed):
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")


def predict(
    run: Where,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to answer: sentences, stories or files, by the task that the model knows. "
            "Without any: one a line from standard input."
        ),
    ] = None,
    *,
    beam: Annotated[
        int, typer.Option(min=1, help="Hypotheses kept, where answers are written; 1 is greedy.")
    ] = 1,
    model: Which = None,
    device: compare.Device = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Translate, classify, tag, answer or transcribe, by the task that the model knows."""
    import json

    from seqarena.use.predict import Predictor

    predictor = Predictor(find_checkpoint(run, model), beam_width=beam, device=device)
    if not inputs and sys.stdin.isatty():
        print(f"type {predictor.codec.prompt} and Enter; Ctrl-D ends", file=sys.stderr)
    items = inputs or (line.rstrip("\n") for line in sys.stdin)
    for item in items:
        (answer,) = predictor([item])
        if as_json:
            line = {"input": item, "answer": answer.text, "confidence": answer.confidence}
            print(json.dumps(line, ensure_ascii=False), flush=True)
        elif answer.confidence is None:
            print(answer.text, flush=True)
        else:
            print(f"{answer.text}\t{answer.confidence:.3f}", flush=True)


def find_start(place: Path, model: str | None, sizes: dict[str, object]) -> tuple[Path, str]:
    """The checkpoint to start from and its architecture.

    Raises UserError for options in `sizes`: what they say is given by the checkpoint.
    """
    from seqarena.train import checkpoint

    for option, value in sizes.items():
        if value:
            raise UserError(
                f"{option} is that of the run that --start-from names: leave it out, or train "
                "without --start-from"
            )
    found = checkpoint.find(find_checkpoint(place, None))
    if found is None:
        raise UserError(f"no checkpoint at {place}")
    return found, model or checkpoint.load(found).about["architecture"]


def find_checkpoint(place: Path, model: str | None) -> Path:
    """The checkpoint folder that a run folder (and a name), a trial or a checkpoint stands for."""
    from seqarena.train import checkpoint

    for candidate in (place, place / "checkpoint"):
        if (candidate / "manifest.json").exists() or checkpoint.find(candidate):
            return candidate
    found = trained_models(place)
    if not found:
        raise UserError(f"{place} has no finished trial yet: finish the comparison first")
    wanted = model or next(iter(found))
    if wanted not in found:
        raise UserError(f"{place} has no {wanted!r}: it has {', '.join(found)}")
    return found[wanted]


def trained_models(run: Path) -> dict[str, Path]:
    """The checkpoint of each ranked architecture, the best first: of the trials at its best
    learning rate, the one that validates best."""
    from seqarena.arena.folder import RunFolder
    from seqarena.arena.view import read_run

    view = read_run(RunFolder(run))
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
