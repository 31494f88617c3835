"""Plain names in the sentences of a ranking: each catalog name, and nothing else, is replaced."""

from report_views import whole_view

from seqarena.arena.recommend import recommend, so_far, verdict
from seqarena.core.results.quantities import CostTable
from seqarena.core.results.records import RunView
from seqarena.models.catalog import CATALOG
from seqarena.report.page.parts import Phrase
from seqarena.report.run.labels import architecture_cell, prose


def test_names_become_nouns_with_the_catalog_name_once() -> None:
    sentence = "gru (2.04) and lstm tie; gru decodes 1.2 times faster than lstm."
    assert prose(whole_view(), sentence) == [
        Phrase("Gated recurrent unit", "gru"),
        Phrase(" (2.04) and long short-term memory", "lstm"),
        Phrase(" tie; gated recurrent unit decodes 1.2 times faster than long short-term memory."),
    ]


def test_parts_of_words_stay() -> None:
    sentence = "min_gru is no gru-like lstm_plain, and my.gru is neither"
    assert prose(whole_view(), sentence)[0] == Phrase("Minimal GRU", "min_gru")
    rest = prose(whole_view(), sentence)[1].text
    assert rest == " is no gru-like lstm_plain, and my.gru is neither"


def test_a_users_own_mixer_keeps_its_name() -> None:
    view = whole_view()
    assert view.ranking is not None
    rows = tuple(
        row.model_copy(update={"architecture": "mine"}) if row.place == 2 else row
        for row in view.ranking.rows
    )
    changed = view.model_copy(update={"ranking": view.ranking.model_copy(update={"rows": rows})})
    assert prose(changed, "mine leads.") == [Phrase("mine leads.")]
    assert architecture_cell(changed, "mine").under == ""


def test_no_word_of_the_sentences_is_a_catalog_name() -> None:
    """A sentence that says "attention" and means no architecture would be changed."""
    named = {name: f"zq{place}" for place, name in enumerate(CATALOG)}
    words = _sentences(whole_view(), named)
    assert "zq" in words
    for sign in "()[],;:.":
        words = words.replace(sign, " ")
    assert not set(words.split()) & set(CATALOG)


def _sentences(view: RunView, named: dict[str, str]) -> str:
    """Every sentence of a ranking whose architectures have other names."""
    assert view.ranking is not None
    rows = tuple(
        row.model_copy(
            update={"architecture": named.get(row.architecture, f"zq{row.architecture}")}
        )
        for row in view.ranking.rows
    )
    costs = CostTable(
        one.model_copy(
            update={"architecture": named.get(one.architecture, f"zq{one.architecture}")}
        )
        for one in view.costs
    )
    found = []
    for leaders in (2, 1):
        tied = [row.model_copy(update={"ties_leader": row.place <= leaders}) for row in rows]
        ranking = view.ranking.model_copy(
            update={
                "rows": tuple(tied),
                "leaders": tuple(row.architecture for row in tied[:leaders]),
            }
        )
        found += recommend(ranking, costs)
        found += [
            so_far(verdict(ranking, costs, seeds_measured=seeds), 3) for seeds in (True, False)
        ]
    return " ".join(found)
