"""`seqarena evaluate`, `predict`, `embed`, `generate`, `export`: what a trained model gives."""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqarena.cli.output import (
    AsJson,
    OwnCode,
    TrustCode,
    complain,
    print_json,
    progress_console,
    say,
    writes_utf8,
)
from seqarena.core.errors import UserError
from seqarena.core.options import texts_by_key

if TYPE_CHECKING:
    import numpy as np

    from seqarena.use.embed import Embedder
    from seqarena.use.predict import Attempt, Predictor

Where = Annotated[
    Path, typer.Argument(help="A run folder, runs/NAME (its best model), or a checkpoint folder.")
]
Which = Annotated[
    str | None, typer.Option("--model", help="Which architecture of the run. Default: the best.")
]
ReadAs = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="How the file is read, where it is other than in training: text=NAME. Repeatable.",
    ),
]
_ONE_LINE = str.maketrans("\t\r\n", "   ")


def evaluate(
    run: Where,
    data: Annotated[
        str | None,
        typer.Argument(
            help="Other data, in a form that training reads: their test split, or all of them "
            "where they have none. Default: the test split that the model was trained for."
        ),
    ] = None,
    *,
    model: Which = None,
    settings: ReadAs = None,
    mixer: OwnCode = None,
    trust_code: TrustCode = False,
    as_json: AsJson = False,
) -> None:
    """Score a trained model on its test split or on other data, with slices."""
    from seqarena import api

    trained = api.load(run, model, mixer=mixer or (), trust_code=trust_code)
    found = trained.evaluate(data, _settings(settings))
    for sentence in found.notes:
        complain(sentence)
    if as_json:
        print_json({"metric": found.metric, **found.scores.model_dump()})
        return
    print(f"{found.metric}  {found.value:.4f}  ({found.scores.num_scored:,} targets)")
    for name, value in found.scores.slices.items():
        print(f"  {name:<24} {value:.4f}")


def generate(
    run: Where,
    prompt: Annotated[
        str | None, typer.Option(help="What the text starts with. Default: the start of a line.")
    ] = None,
    *,
    count: Annotated[int, typer.Option(min=1, help="Tokens to generate.")] = 300,
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 0.8,
    top_k: Annotated[int | None, typer.Option(help="Draw from the k likeliest only.")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Draw from the likeliest that hold this probability.")
    ] = None,
    greedy: Annotated[bool, typer.Option("--greedy", help="The same as --temperature 0.")] = False,
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 0,
    model: Which = None,
    mixer: OwnCode = None,
    trust_code: TrustCode = False,
) -> None:
    """Generate text, streamed as it comes."""
    from seqarena import api

    trained = api.load(run, model, mixer=mixer or (), trust_code=trust_code)
    pieces = trained.stream(
        prompt,
        count=count,
        temperature=0.0 if greedy else temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        note=complain,
    )
    sys.stdout.write(prompt or "")
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")


def export(
    run: Annotated[
        str,
        typer.Argument(
            help="A run folder, runs/NAME (its best model), runs/NAME:MODEL, or a checkpoint."
        ),
    ],
    *,
    to: Annotated[
        str | None,
        typer.Option(
            help="onnx; torch, a .pt2 of torch.export; c, one C99 file; hf, a folder for "
            "transformers. Default: what the name of --out says, or onnx."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file to write. Default: MODEL.onnx, .pt2 or .c here; of an encoder-decoder "
            "the folder of that name without its ending."
        ),
    ] = None,
    precision: Annotated[
        str, typer.Option(help="Of C: float32, or int8 with a factor a row; the loss is measured.")
    ] = "float32",
    max_length: Annotated[
        int, typer.Option(min=1, help="Of C: positions that a growing cache has room for.")
    ] = 1024,
    model: Which = None,
    mixer: OwnCode = None,
    trust_code: TrustCode = False,
) -> None:
    """Write a trained model as a file that runs without seqarena, and check it against the model.

    Rows and positions are free. Of what reads position by position the state goes in and comes
    out, so that a stream continues; what writes from a source becomes a folder with its encoder
    and its step. A file whose numbers differ by more than 1e-5 is not kept.
    """
    from seqarena import api
    from seqarena.engine.run import folder_and_model

    folder, named = folder_and_model(run)
    done = api.export(
        folder,
        out,
        to=to,
        model=model or named,
        mixer=mixer or (),
        trust_code=trust_code,
        precision=precision,
        max_length=max_length,
    )
    print(done.path)
    if done.difference is not None:
        say(f"largest difference from the model: {done.difference:.1e} of its largest logit")
    for note in done.notes:
        say(note)


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
    file: Annotated[
        str | None,
        typer.Option(
            help="Answer the rows or lines of a file in a form that training reads instead."
        ),
    ] = None,
    settings: ReadAs = None,
    pretokenized: Annotated[
        bool,
        typer.Option("--pretokenized", help="Tagging: the text's words stand between blanks."),
    ] = False,
    beam: Annotated[
        int, typer.Option(min=1, help="Hypotheses kept, where answers are written; 1 is greedy.")
    ] = 1,
    model: Which = None,
    mixer: OwnCode = None,
    trust_code: TrustCode = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Translate, classify, tag, answer, transcribe or forecast, by the task that the model knows.

    Every input gives one line: a blank one a blank line, and so does one that cannot be read, which
    standard error names. Exit code 1 says that there were such, 2 that there was nothing else. A
    table of series gives a table of forecasts.
    """
    from seqarena import api
    from seqarena.use.predict import AT_ONCE

    if inputs and file is not None:
        raise UserError("give inputs or --file, not both")
    trained = api.load(run, model, mixer=mixer or (), trust_code=trust_code)
    predictor = trained.predictor(beam=beam, device=device)
    if predictor.codec.table:
        tables = [file] if file is not None else inputs or []
        _answer_tables(predictor, tables, _settings(settings), as_json)
        return
    if settings and file is None:
        raise UserError("--set says how --file is read: name a file")
    if file is not None:
        items, at_once = predictor.inputs(file, _settings(settings)), AT_ONCE
    else:
        items, at_once = iter(inputs) if inputs else _standard_input(predictor), 1
    if pretokenized:
        items = map(predictor.words, items)
    _answer(predictor.attempts(items, at_once), as_json, "row" if file else "input")


def embed(
    run: Where,
    file: Annotated[
        str, typer.Argument(help="Texts: one a line, or a column of a table (csv, jsonl, ...).")
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where the vectors go: NAME.npy, .csv or .parquet; what made them goes beside, as "
            "NAME.npy.json. Default: the file's name with .npy, here."
        ),
    ] = None,
    pooling: Annotated[
        str,
        typer.Option(
            help="own: what the model's head reads; mean, last, max: of the positions; auto: own, "
            "else last of a causal model, mean of any other."
        ),
    ] = "auto",
    column: Annotated[
        str | None, typer.Option(help="Of a table: the column of the texts. Default: text.")
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of the file: utf-8 or iso-8859-1, say.")] = "utf-8",
    model: Which = None,
    mixer: OwnCode = None,
    trust_code: TrustCode = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "cpu",
    as_json: AsJson = False,
) -> None:
    """Write a vector for every text of a file, from a model of any task that reads texts."""
    from seqarena import api
    from seqarena.use.embed import check_output, read_texts, write_vectors

    out = out or Path(f"{Path(file).stem}.npy")
    check_output(out)
    texts = read_texts(file, column, encoding)
    trained = api.load(run, model, mixer=mixer or (), trust_code=trust_code)
    embedder = trained.embedder(pooling=pooling, device=device)
    facts = {**embedder.facts(), "checkpoint": str(trained.path), "file": file, "column": column}
    beside = write_vectors(out, texts, _vectors(embedder, texts, file), facts)
    if as_json:
        print_json({"out": str(out), "about": str(beside), **facts, "texts": len(texts)})
        return
    print(
        f"{out}: {len(texts):,} vectors of {embedder.size:,} numbers from "
        f"{embedder.architecture}, pooling {embedder.pooling}; {beside.name} says what made them"
    )


def _vectors(embedder: "Embedder", texts: list[str], file: str) -> "np.ndarray":
    """Of all texts, with their progress shown. Raises UserError that names the file."""
    import numpy as np
    from rich.progress import Progress

    found = []
    try:
        console = progress_console(as_json=True)  # standard output is for the result
        hidden = not console.is_terminal
        with Progress(console=console, transient=True, disable=hidden) as progress:
            share = progress.add_task("texts", total=len(texts))
            for vectors_BE in embedder.stream(texts):
                found.append(vectors_BE)
                progress.advance(share, len(vectors_BE))
    except UserError as error:
        raise UserError(f"{file}, {error}") from error
    return np.concatenate(found)


def _answer(attempts: "Iterator[Attempt]", as_json: bool, what: str) -> None:
    failed = number = 0
    for number, (item, outcome) in enumerate(attempts, start=1):
        answer = None if isinstance(outcome, UserError) else outcome
        text, confidence = (None, None) if answer is None else answer
        if isinstance(outcome, UserError):
            failed += 1
            complain(f"seqarena: {what} {number}: {outcome}")
        if as_json:
            line = {"input": item, "answer": text, "confidence": confidence}
            print(json.dumps(line, ensure_ascii=not writes_utf8()), flush=True)
        else:
            words = (text or "").translate(_ONE_LINE)
            print(words if confidence is None else f"{words}\t{confidence:.3f}", flush=True)
    if failed:
        raise typer.Exit(2 if failed == number else 1)


def _answer_tables(
    predictor: "Predictor", tables: list[str], settings: dict[str, str], as_json: bool
) -> None:
    """A table of all answers, as CSV or as one JSON object a row."""
    if not tables:
        raise UserError(f"name what to answer: {predictor.codec.prompt}")
    for number, row in enumerate(predictor.rows(tables, settings)):
        if not as_json:
            csv.writer(sys.stdout, lineterminator="\n").writerow(row)
        elif number:
            line = dict(zip(predictor.codec.table, row))
            print(json.dumps(line, ensure_ascii=not writes_utf8()), flush=True)


def _standard_input(predictor: "Predictor") -> Iterator[str]:
    """Its lines, without their ends and without a byte order mark."""
    if sys.stdin.isatty():
        complain(f"type {predictor.codec.prompt} and Enter; Ctrl-D ends")
    # bytes, because the text layer of Python would end a line at a carriage return as well, and
    # end the program at the first byte that is not UTF-8
    encoding = sys.stdin.encoding if sys.stdin.isatty() else "utf-8"
    for number, line in enumerate(sys.stdin.buffer):
        text = line.decode(encoding or "utf-8", errors="surrogateescape")
        text = text.removeprefix("\ufeff") if number == 0 else text
        yield text.removesuffix("\n").removesuffix("\r")


def _settings(given: list[str] | None) -> dict[str, str]:
    try:
        return texts_by_key(given)
    except ValueError as error:
        raise UserError(f"--set {given}: {error}") from error
