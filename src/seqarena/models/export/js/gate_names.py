"""The gates of cells by the names of their papers. A gate of any other cell has a number."""

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py

# cell -> its gates in the order in which it computes them, and what each does
GATES: dict[str, tuple[tuple[str, str], ...]] = {
    "GRU": (
        ("reset gate r", "closed: the new proposal does not see the old state"),
        ("update gate z", "open: the old number is kept; closed: the proposal takes its place"),
    ),
    "LSTM": (
        ("forget gate f", "open: the cell keeps its number; closed: it forgets it"),
        ("input gate i", "open: the new proposal is written into the cell"),
        ("output gate o", "open: the cell's number is shown to the next layer"),
    ),
    "MinGRU": (
        ("share kept, 1 - z", "how much of the old number stays"),
        ("update gate z", "how much of the new number is written"),
    ),
    "MinLSTM": (
        ("share kept, f'", "how much of the old number stays"),
        ("share written, i'", "how much of the new number is written"),
    ),
    "QRNN": (
        ("forget gate f", "open: the cell keeps its number"),
        ("share written, 1 - f", "how much of the new number is written"),
        ("output gate o", "open: the cell's number is shown to the next layer"),
    ),
    "SRU": (
        ("forget gate f", "open: the cell keeps its number"),
        ("reset gate r", "open: the cell is shown; closed: the input passes by it"),
    ),
    "SLSTM": (("output gate o", "open: the cell's number is shown to the next layer"),),
    "DeltaNet": (("write strength beta", "how much of the old value at this key is replaced"),),
    "GatedDeltaNet": (
        ("write strength beta", "how much of the old value at this key is replaced"),
    ),
}
GATES["FactoredLSTM"] = GATES["LSTM"]
