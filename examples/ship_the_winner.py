"""From a comparison to a product: the winner trained on, exported, run without torch, and served.

python examples/ship_the_winner.py my_text.txt     # without a file: the embedded text
python examples/ship_the_winner.py --run winner.onnx "The "

It needs two extras and OpenAI's client: pip install 'seqarena[export,serve]' openai
"""

import json
import subprocess
import sys


def run_onnx(path: str, prompt: str, count: int = 60) -> str:
    """The likeliest continuation, by onnxruntime and numpy alone; the state goes in and out."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    about = json.loads(session.get_modelmeta().custom_metadata_map["seqarena"])
    tokenizer = json.loads(about["artifacts"]["tokenizer"])
    assert tokenizer["kind"] == "byte", "a token is a byte of the text"
    inputs = {one.name: one for one in session.get_inputs()}
    outputs = [one.name for one in session.get_outputs()]
    kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
    state = {
        name: np.zeros(
            [1, *(n if isinstance(n, int) else 0 for n in inputs[name].shape[1:])],
            kinds[inputs[name].type],
        )
        for name in about["state"]
    }
    read, written = list(prompt.encode()), []
    while len(written) < count:
        values = session.run(None, {"input": np.array([read]), **state})
        found = dict(zip(outputs, values, strict=True))
        state = {name: found[f"next_{name}"] for name in state}
        read = [int(found["logits"][0, -1].argmax())]
        written += read
    assert "torch" not in sys.modules
    return bytes(written).decode(errors="replace")


def main(
    text: str | None = None, tokens: str = "20k", params: str = "60k", longer: str = "200k"
) -> dict[str, str]:
    """Returns the same continuation three times: ours, the exported file's, and the server's."""
    import openai

    import seqarena as sa

    run = sa.compare(
        text, models=["gru", "mingru", "conv"], params="20k", tokens=tokens, seeds=2,
        rates=(6e-3, 2e-2), widen=0, name="example-candidates",
    )  # fmt: skip
    print(run.ranking.verdict)

    winner = sa.train(from_run=run.path, params=params, tokens=longer, name="example-product")
    print(f"trained on: {winner.best.architecture} -> {winner.path}")

    prompt = "The "
    texts = {"ours": winner.best.generate(prompt, count=60, temperature=0)}

    file = sa.export(winner.path, "winner.onnx").path
    command = [sys.executable, __file__, "--run", str(file), prompt]
    done = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8")
    texts["without torch"] = done.stdout.rstrip("\n")

    with sa.serve(winner.path, port=0) as server:
        stop = server.start()
        with openai.OpenAI(base_url=f"{server.address}/v1", api_key="none") as client:
            stream = client.completions.create(
                model=winner.best.architecture, prompt=prompt, max_tokens=60, temperature=0,
                stream=True,
            )  # fmt: skip
            texts["served"] = "".join(part.choices[0].text for part in stream if part.choices)
        stop()

    for who, words in texts.items():
        print(f"{who}: {prompt}{words!r}")
    return texts


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        sys.stdout.reconfigure(encoding="utf-8")
        print(run_onnx(*sys.argv[2:4]))
    else:
        main(*sys.argv[1:2])
