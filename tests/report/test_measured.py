"""Pages of measurements and claims as text: everything on them follows from the records."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from ledger_views import (
    CATALOG,
    attention_map,
    flow_map,
    gradient,
    ledger,
    measurements,
    recall,
    series,
    speed,
)
from plotly.offline import get_plotlyjs
from report_views import NASTY, whole_view
from test_html import Page

from seqarena.core.errors import UserError
from seqarena.core.results.measurement import append_measurements
from seqarena.engine.pages import digest_of, page_of
from seqarena.report.claims.page import render_ledger
from seqarena.report.measured.diagrams import timed_pair
from seqarena.report.measured.explorer import explorer_section, map_data
from seqarena.report.measured.page import render_measurements
from seqarena.report.measured.series_reading import (
    estimate_text,
    estimates_of,
    groups,
    line_styles_of,
)
from seqarena.report.run.page import render_html
from seqarena.serve.page import PageServer
from seqarena.serve.sentences import typed_maps


def words_of(found: list) -> str:
    return read(render_measurements("planted", found, CATALOG)).words


def read(html: str) -> Page:
    """The page without plotly's own script, which is long to read and holds no words of ours."""
    return Page(html.replace(get_plotlyjs(), ""))


def test_ids_are_unique_and_links_lead_somewhere() -> None:
    page = read(render_ledger(ledger(), CATALOG))
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    used = [v for _, n, v in page.attributes if n in ("aria-labelledby", "data-figure", "for")]
    used += [v[1:] for _, n, v in page.attributes if n == "href"]
    used += [v for _, n, v in page.attributes if n == "data-card"]
    assert set(used) <= set(ids)


def test_a_planted_slow_one_gets_its_exponent() -> None:
    for planted in (0.5, 1.0, 2.0):
        (found, *_) = estimates_of(speed("slow", planted, serial=True))
        assert found.estimate.value == pytest.approx(planted)
    assert "1.6" in words_of([speed("attention", 1.6, serial=False)])


def test_a_planted_memory_gets_the_reach_it_deserves() -> None:
    assert estimate_text(estimates_of(recall("lstm", 16))[0]) == "16"
    assert estimate_text(estimates_of(recall("lstm", 0))[0]) == "0"
    assert estimate_text(estimates_of(recall("lstm", 64))[0]) == "at least 64"
    assert "at least 64" in words_of([recall("attention", 64)])
    assert "at least 64" not in words_of([recall("attention", 32)])


def test_a_gradient_gets_its_rate_and_half_life() -> None:
    rate, life = estimates_of(gradient("elman", 0.5))
    assert rate.estimate.value == pytest.approx(0.5)
    assert life.estimate.value == pytest.approx(1.0)
    assert estimate_text(estimates_of(gradient("elman", 1.1))[1]) == "does not fall"


def test_what_is_not_finite_has_no_estimate_and_breaks_nothing() -> None:
    broken = series("elman", "forward_seconds", "length", (1, 2, 4), (1.0, float("nan"), 2.0))
    assert estimates_of(broken) == []
    assert "Forward seconds against length" in words_of([broken])
    flat = series("elman", "gradient_norm", "distance", (0, 1, 2), (1.0, 0.0, 0.0))
    assert "2 points at zero or below appear only on a linear axis" in words_of([flat])


def test_the_newest_measuring_of_a_curve_is_shown() -> None:
    words = words_of([recall("lstm", 8), recall("lstm", 64)])
    assert "1 curve" in words
    assert "at least 64" in words


def test_line_styles_differ_inside_a_figure() -> None:
    (group,) = groups([speed(f"model{i}", 1.0, serial=True) for i in range(9)])
    styles = line_styles_of(group.series, ["elsewhere"] * 3)
    assert len({style.colour.light for style in styles}) == 9
    (group,) = groups([speed("lstm", 1.0, serial=True, variant=v) for v in ("loop", "fused")])
    one, other = line_styles_of(group.series, ["lstm"])
    assert one.colour == other.colour
    assert one.dash != other.dash


def test_variants_that_are_alone_in_a_figure_differ_in_colour_as_well() -> None:
    (group,) = groups([speed("lstm", 1.0, serial=True, variant=v) for v in "abc"])
    styles = line_styles_of(group.series, ["lstm"])
    assert len({style.colour for style in styles}) == len({style.dash for style in styles}) == 3
    (group,) = groups([*group.series, speed("gru", 1.0, serial=True)])
    assert len({style.colour for style in line_styles_of(group.series, ["lstm", "gru"])}) == 2


def test_the_explorer_shows_what_was_trained_first() -> None:
    maps = [
        flow_map("lstm").model_copy(update={"variant": variant})
        for variant in ("initial", "trained")
    ]
    section = explorer_section(maps)
    assert section is not None
    assert [one["model"] for one in section.maps] == ["lstm, trained", "lstm, initial"]


def test_diagrams_carry_the_measured_numbers() -> None:
    found = measurements()
    pair = timed_pair([one for one in found if one.kind == "series"], CATALOG)
    assert pair is not None
    assert (pair[0].series.label, pair[1].series.label) == ("lstm, loop", "attention")
    assert pair[0].serial_steps == 7 * 2048
    words = words_of(found)
    assert "14,336 serial steps" in words
    assert "12 serial steps" in words
    assert "0.33" in words  # 0.8^5
    assert "one wide step" not in words_of([gradient("elman", 0.8)])
    assert "one wide step" in words
    assert "Diagrams with" not in words_of([recall("lstm", 8)])


def test_a_run_keeps_its_page_and_gains_the_measurements() -> None:
    plain, both = render_html(whole_view()), render_html(whole_view(), measurements())
    assert "Training step seconds against length" not in plain
    words = read(both).words
    assert "No winner" in words
    assert "Training step seconds against length" in words


def test_maps_of_pairs_keep_both_texts() -> None:
    one = attention_map(0, 0).model_copy(
        update={"words": ("un", "chat"), "columns": ("a", "black", "cat"),
                "weights": ((0.7, 0.2, 0.1), (0.1, 0.1, 0.8))}
    )  # fmt: skip
    said = map_data(one)
    assert (said["words"], said["columns"]) == (["un", "chat"], ["a", "black", "cat"])
    assert map_data(attention_map(0, 0))["columns"] == list(attention_map(0, 0).words)


def test_hostile_words_stay_text() -> None:
    evil = attention_map(0, 0).model_copy(update={"words": (NASTY,) * 11})
    named = recall("lstm", 8).model_copy(update={"variant": NASTY})
    html = render_measurements(NASTY, [evil, named], CATALOG)
    assert "<script>alert" not in html
    assert read(html).open == []


def test_a_folder_is_drawn_by_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a run folder"):
        page_of(tmp_path)
    append_measurements(tmp_path / "measurements.jsonl", [recall("lstm", 8)])
    assert "Accuracy against distance" in page_of(tmp_path)
    before = digest_of(tmp_path)
    append_measurements(tmp_path / "measurements.jsonl", [recall("lstm", 16)])
    assert digest_of(tmp_path) != before


@pytest.fixture
def served(tmp_path: Path) -> Iterator[PageServer]:
    append_measurements(tmp_path / "measurements.jsonl", [recall("lstm", 8)])
    with PageServer(tmp_path) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def asked(server: PageServer, path: str, data: Any = None, **headers: str) -> str:
    request = urllib.request.Request(server.address + path, data, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


def test_the_server_answers_and_notices_a_change(served: PageServer) -> None:
    page = asked(served, "")
    assert "connect-src 'self'" in page
    assert "connect-src" not in render_measurements("static", [], CATALOG).split("<style>")[0]
    state = asked(served, "state")
    assert asked(served, "state") == state
    append_measurements(served.folder / "measurements.jsonl", [speed("lstm", 1.0, serial=True)])
    assert asked(served, "state") != state
    assert "Training step seconds against length" in asked(served, "")


def test_the_server_turns_strangers_away(served: PageServer) -> None:
    assert served.server_address[0] == "127.0.0.1"
    for path, data, headers, status in (
        ("state", None, {"Host": "elsewhere.example"}, 403),
        ("maps", b'{"text": "a"}', {"Content-Type": "text/plain"}, 400),
        ("maps", b"[]", {"Content-Type": "application/json"}, 400),
        ("plan.json", None, {}, 404),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            asked(served, path, data, **headers)
        assert refused.value.code == status
        refused.value.close()


def test_a_typed_sentence_is_mapped_or_answered_in_words(served: PageServer) -> None:
    raw = json.dumps({"text": "a b"}).encode()
    said = json.loads(asked(served, "maps", raw, **{"Content-Type": "application/json"}))
    assert said == {"words": "Nothing here can map a sentence.", "maps": []}
    append_measurements(served.folder / "measurements.jsonl", [flow_map("elman")])
    said = typed_maps(served.folder, "a b c")
    assert [(one["model"], one["words"]) for one in said["maps"]] == [
        ("elman, initial weights", ["a", "b", "c"])
    ]
    assert "elman has no attention" in said["words"]
    assert "1 to 200" in typed_maps(served.folder, " ")["words"]
