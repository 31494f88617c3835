"""`seqarena evaluate`, `predict` and `generate`: what a trained model answers."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from seqarena.cli.output import AsJson, OwnCode, TrustCode, print_json, writes_utf8

Where = Annotated[
    Path, typer.Argument(help="A run folder, runs/NAME (its best model), or a checkpoint folder.")
]
Which = Annotated[
    str | None, typer.Option("--model", help="Which architecture of the run. Default: the best.")
]


def evaluate(
    run: Where,
    data: Annotated[
        str | None,
        typer.Argument(help="Other text. Default: the test split that the model was trained for."),
    ] = None,
    *,
    model: Which = None,
    mixer: OwnCode = None,
    trust_code: TrustCode = False,
    as_json: AsJson = False,
) -> None:
    """Score a trained model on its test split or on another text, with slices."""
    from seqarena import api

    metric, scores = api.load(run, model, mixer=mixer or (), trust_code=trust_code).evaluate(data)
    if as_json:
        print_json({"metric": metric, **scores.model_dump()})
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
    )
    sys.stdout.write(prompt)
    for piece in pieces:
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
    mixer: OwnCode = None,
    trust_code: TrustCode = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Translate, classify, tag, answer or transcribe, by the task that the model knows."""
    from seqarena import api

    trained = api.load(run, model, mixer=mixer or (), trust_code=trust_code)
    predictor = trained.predictor(beam=beam, device=device)
    if not inputs and sys.stdin.isatty():
        print(f"type {predictor.codec.prompt} and Enter; Ctrl-D ends", file=sys.stderr)
    for item in inputs or (line.rstrip("\n") for line in sys.stdin):
        (answer,) = predictor([item])
        if as_json:
            line = {"input": item, "answer": answer.text, "confidence": answer.confidence}
            print(json.dumps(line, ensure_ascii=not writes_utf8()), flush=True)
        elif answer.confidence is None:
            print(answer.text, flush=True)
        else:
            print(f"{answer.text}\t{answer.confidence:.3f}", flush=True)
