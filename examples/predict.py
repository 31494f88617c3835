"""Four small models on the data that come with seqarena, and what each answers.

    python examples/predict.py            # about a minute on a laptop; no download

A date is rewritten, the words of a line of code are tagged, a question about a story is answered,
and a key is heard in a wav file. The command line trains the same and gives the same answers:

    seqarena predict runs/example-translation "3. März 2019"
"""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import wavfile

import seqarena as sa

RUNS = Path("runs")
TRAINING: dict[str, dict[str, Any]] = {
    "translation": {"model": "rnnsearch", "width": 64, "steps": 500, "batch": 32, "rate": 5e-3},
    "tagging": {"model": "bi_lstm_tagger", "width": 32, "steps": 150, "batch": 16, "rate": 1e-2},
    "question_answering": {
        "model": "memory_network", "width": 20, "steps": 800, "batch": 32, "rate": 2e-2,
        "weight_decay": 0,
    },
    "speech": {
        "model": "bi_gru", "width": 32, "depth": 1, "steps": 300, "batch": 16, "rate": 5e-3,
    },
}  # fmt: skip
KEY_5 = (770.0, 1336.0)  # Hz, of the key 5 on a telephone (ITU-T Q.23)


def tone(path: Path, rate: int = 8000, seconds: float = 0.25) -> None:
    """Writes a wav file of the key 5."""
    time = np.arange(int(rate * seconds)) / rate
    wave = sum(np.sin(2 * np.pi * frequency * time) for frequency in KEY_5)
    wavfile.write(path, rate, (8000 * wave).astype(np.int16))


def main() -> None:
    """Trains, asks, prints."""
    RUNS.mkdir(exist_ok=True)
    tone(RUNS / "five.wav")
    questions = {
        "translation": "3. März 2019",
        "tagging": "for name in names :",
        "question_answering": "Anna walked to the attic. Anna ran to the library. Where is Anna?",
        "speech": str(RUNS / "five.wav"),
    }
    for task, question in questions.items():
        run = sa.train(task=task, name=f"example-{task}", runs=RUNS, **TRAINING[task])
        (answer,) = run.best.predict([question])
        sure = "" if answer.confidence is None else f"  ({answer.confidence:.0%} sure)"
        print(f"{task}: {question}  ->  {answer.text}{sure}")


if __name__ == "__main__":
    main()
