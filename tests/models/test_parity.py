"""The table of references: every name exists, and the page shows what the catalog says."""

from pathlib import Path

from seqarena import api
from seqarena.models.catalog import CATALOG
from seqarena.models.parity import ROWS, parity_of, parity_table

PAGE = Path(__file__).parents[2] / "docs" / "parity.md"


def test_the_page_has_the_table() -> None:
    assert parity_table() in PAGE.read_text(encoding="utf-8")
    assert {row.name for row in ROWS} <= set(CATALOG)


def test_models_say_what_they_are_equal_to() -> None:
    assert api.models()["deltanet"]["parity"] == parity_of("deltanet")
    assert parity_of("mamba3") == (
        "equal to state-spaces/mamba e9594ce Mamba3 with mamba3_siso_step_ref within 2e-14"
    )
    assert parity_of("lenet5") == ""
