"""`seqarena compare`: the main job."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqarena.cli import options

if TYPE_CHECKING:
    from rich.console import Console

    from seqarena.arena.prepare import Prepared, Wish
    from seqarena.models.any import AnyConfig
    from seqarena.models.catalog import Architecture
    from seqarena.tasks import TaskConfig
    from seqarena.train.budget import Budget

DATA = typer.Argument(
    help="A text file, a folder, JSON lines or Parquet. Without it: the Python language reference "
    "that comes with Python.",
    show_default=False,
)
Data = Annotated[str | None, DATA]
Task = Annotated[str, typer.Option(help="What is asked: seqarena tasks lists them.")]
Setting = Annotated[
    list[str] | None, typer.Option("--set", help="A setting of the task, key=value. Repeatable.")
]
Params = Annotated[
    str | None, typer.Option(help="Parameters of every model, to within 1 %: 100k, 1M.")
]
Width = Annotated[
    int | None, typer.Option(min=1, help="The same width instead of the same --params.")
]
Depth = Annotated[int | None, typer.Option(help="Layers. Default: follows from --params.")]
Tokenizer = Annotated[
    str | None, typer.Option(help="byte, char, word or bpe:N, as the task has it.")
]
Length = Annotated[int | None, typer.Option(help="Tokens in a training sequence [64].")]
Steps = Annotated[str | None, typer.Option(help="Budget: optimizer steps.")]
Epochs = Annotated[str | None, typer.Option(help="Budget: passes over the training examples.")]
Tokens = Annotated[str | None, typer.Option(help="Budget: tokens [200k].")]
Flops = Annotated[str | None, typer.Option(help="Budget: floating-point operations of training.")]
Seconds = Annotated[str | None, typer.Option(help="Budget: seconds of training, for each trial.")]
Batch = Annotated[int, typer.Option(min=1, help="Sequences in an optimizer step.")]
Dropout = Annotated[float, typer.Option(min=0, max=0.99)]
Smoothing = Annotated[
    float, typer.Option(min=0, max=0.99, help="Share of each target given to all answers alike.")
]
Optimizer = Annotated[str, typer.Option(help="adamw or adamax.")]
Schedule = Annotated[
    str, typer.Option(help="cosine, inverse_sqrt, or constant (then a linear fall).")
]
Decay = Annotated[float, typer.Option(min=0, help="Weight decay of matrices.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float64.")]
Name = Annotated[str | None, typer.Option(help="The run folder's name. Default: from the data.")]
Runs = Annotated[Path, typer.Option(help="Where run folders live.")]


def compare(
    data: Data = None,
    *,
    models: Annotated[
        str | None, typer.Option(help="lstm,gru,... or all. Default: the line-up of 15.")
    ] = None,
    mixer: Annotated[
        list[str] | None,
        typer.Option(help="Your own mixer, [LABEL=]my_file.py:MyMixer. Repeatable."),
    ] = None,
    task: Task = "language",
    settings: Setting = None,
    params: Params = None,
    width: Width = None,
    depth: Depth = None,
    tokenizer: Tokenizer = None,
    length: Length = None,
    steps: Steps = None,
    epochs: Epochs = None,
    tokens: Tokens = None,
    flops: Flops = None,
    seconds: Seconds = None,
    rates: Annotated[
        str, typer.Option(help="Learning rates tried, chosen on validation.")
    ] = "2e-3,6e-3,2e-2",
    seeds: Annotated[int, typer.Option(min=1, help="Seeds at the chosen rate.")] = 3,
    repeats: Annotated[
        int, typer.Option(min=0, help="Runs of one trial once more, to see that runs repeat.")
    ] = 1,
    batch: Batch = 8,
    dropout: Dropout = 0.0,
    label_smoothing: Smoothing = 0.0,
    optimizer: Optimizer = "adamw",
    schedule: Schedule = "cosine",
    weight_decay: Decay = 0.1,
    jobs: Annotated[int | None, typer.Option(min=1, help="Trials at a time [cores].")] = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    name: Name = None,
    runs: Runs = Path("runs"),
    measure: Annotated[bool, typer.Option(help="Measure costs when training is done.")] = True,
) -> None:
    """Train architectures at equal size and cost on your data; rank them, honestly.

    Every architecture gets the same budget, the same number of learning rates (chosen on
    validation) and the same seeds. Stop it at any time; the same command goes on where it stopped.
    """
    from seqarena.arena.prepare import Wish
    from seqarena.tasks import parse_task

    rows = options.architectures(models, mixer or [])
    config = parse_task(options.task_fields(task, data, tokenizer, length, settings or []))
    wish = Wish(
        command=options.command_line(),
        budget=make_budget(steps, epochs, tokens, flops, seconds),
        params=options.whole(params or (None if width else "100k"), "--params"),
        width=width,
        depth=depth,
        learning_rates=options.rates(rates),
        seeds=seeds,
        repeats=repeats,
        batch_size=batch,
        optimizer=options.optimizer(schedule, optimizer, weight_decay=weight_decay),
        label_smoothing=label_smoothing,
        dropout=dropout,
        device=device,
        dtype=dtype,
        jobs=jobs,
        name=name,
        runs=runs,
    )
    run_comparison(wish, config, rows, measure=measure)


def make_budget(
    steps: str | None,
    epochs: str | None,
    tokens: str | None,
    flops: str | None,
    seconds: str | None,
) -> "Budget":
    """The one budget that was given; 200k tokens when none was."""
    from seqarena.train.budget import Budget

    if not any((steps, epochs, tokens, flops, seconds)):
        tokens = "200k"
    return Budget(
        steps=options.whole(steps, "--steps"),
        epochs=options.number(epochs, "--epochs") if epochs else None,
        tokens=options.whole(tokens, "--tokens"),
        flops=options.number(flops, "--flops") if flops else None,
        seconds=options.number(seconds, "--seconds") if seconds else None,
    )


def run_comparison(
    wish: "Wish", config: "TaskConfig", rows: "list[Architecture]", *, measure: bool
) -> "Prepared":
    """Plans, trains, measures, ranks, prints and writes the report."""
    from rich.console import Console

    from seqarena.arena.live import comparison_display
    from seqarena.arena.prepare import prepare, write_facts
    from seqarena.arena.run import RunState, run

    console = Console()
    with console.status("reading the data and solving the sizes"):
        prepared = prepare(wish, config, rows)
    plan, folder = prepared.plan, prepared.folder
    with folder.lock():
        write_facts(prepared, rows)
        announce(console, prepared)
        task = prepared.task
        state = RunState(plan, folder, task.lower_is_better)
        display = comparison_display(console, state, task.metric, prepared.jobs)
        with display, closing(run(state, prepared.jobs, task=task)) as events:
            for event in events:
                display.show(event)
        if display.reused:
            console.print(f"{display.reused} finished trial(s) of earlier calls were used again")
        if measure:
            _measure(console, prepared)
        finish(console, prepared, state.failures)
    return prepared


def announce(console: "Console", prepared: "Prepared") -> None:
    """Says every choice that was made, before anything runs."""
    plan = prepared.plan
    for choice in prepared.choices:
        console.print(choice, style="dim", highlight=False, soft_wrap=True)
    for name, why in plan.excluded.items():
        console.print(f"{name} cannot enter: {why}", highlight=False, soft_wrap=True)
    algorithms = ", ".join(
        f"{entry.architecture} {'/'.join(sorted(set(_algorithms(entry.model))))}"
        for entry in plan.entries
    )
    console.print(f"algorithms: {algorithms}", style="dim", highlight=False, soft_wrap=True)
    console.print(
        f"{len(plan.entries)} architectures x {len(plan.learning_rates)} learning rates x "
        f"{len(plan.seeds)} seeds, {plan.budget.describe()} each -> {prepared.folder.path}",
        highlight=False,
        soft_wrap=True,
    )


def _algorithms(config: "AnyConfig") -> tuple[str, ...]:
    """The algorithm of each layer, as `auto` resolves, without allocating the model."""
    import torch

    from seqarena.models.any import build_model

    with torch.device("meta"):
        return build_model(config).algorithms


def _measure(console: "Console", prepared: "Prepared") -> None:
    from seqarena.arena.costs import measure_missing, missing_costs

    problem, length = prepared.task.problem, prepared.task.sequence_length
    total = len(missing_costs(prepared.plan, prepared.folder))
    if not total:
        return
    with console.status("measuring costs") as status:
        for done, (entry, _) in enumerate(
            measure_missing(prepared.plan, prepared.folder, problem, length), start=1
        ):
            status.update(f"measuring costs alone on the machine: {done}/{total} "
                          f"{entry.architecture}")  # fmt: skip


def finish(console: "Console", prepared: "Prepared", failures: dict[str, str]) -> None:
    """Ranks, prints the table, writes the database and the page."""
    from seqarena.arena.store import write_database
    from seqarena.arena.view import read_run
    from seqarena.jobs.files import write_atomically
    from seqarena.report.html import render_html
    from seqarena.report.tables import ranking_table

    folder = prepared.folder
    view = read_run(folder, failures)
    write_database(folder.path / "results.sqlite", view.trials, folder.measures())
    write_atomically(folder.report_path, render_html(view))
    console.print(ranking_table(view))
    for name, why in failures.items():
        console.print(f"{name} failed: {why}", style="red", highlight=False, soft_wrap=True)
    console.print(f"report: {folder.report_path}", highlight=False, soft_wrap=True)
