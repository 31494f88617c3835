"""`seqarena serve`: a trained model over HTTP."""

import contextlib
from typing import Annotated, Any

import typer

from seqarena.cli.derive import verb_of
from seqarena.cli.output import OwnCode, TrustCode
from seqarena.serve.model.request import ServeRequest

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Open the model, say what would be served, and end.")
]


def _serve(
    given: dict[str, Any],
    dry_run: DryRun = False,
    mixer: OwnCode = None,
    trust_code: TrustCode = False,
) -> None:
    """Serve a trained model over HTTP, as OpenAI's clients know it.

    A language model has /v1/completions (streams, stop, logprobs, seed, sessions); a model of
    another task /v1/classify, tag, translate, summarise, transcribe, forecast, fill or answer. All
    have /v1/models, /health, /metrics and /openapi.json.

    seqarena serve runs/NAME                   the best model, for this machine alone

    seqarena serve runs/NAME:gru --port 9000   another one

    SEQARENA_TOKEN=... seqarena serve runs/NAME --host 0.0.0.0

    Texts that are written at the same time share each step of the model. The first line that it
    prints says where it listens, the last one is a request that works.
    """
    from seqarena import api

    with api.serve(mixer=mixer or (), trust_code=trust_code, **given) as server:
        for line in server.lines():
            print(line, flush=True)
        if dry_run:
            return
        with contextlib.suppress(KeyboardInterrupt):
            server.serve()
        print("\nstopped serving")


serve = verb_of(ServeRequest, _serve, name="serve", argument="run")
