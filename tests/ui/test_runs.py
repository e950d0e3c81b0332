"""The list of runs as its address says, what results are worth, charts of what nodes took, runs to pick."""

from __future__ import annotations

import html
import re

import pytest

from whyrec.ui.pages.run_list import SORTS
from whyrec.ui.pictures.bars import by_node
from whyrec.ui.site import link
from whyrec.ui.tally import Sum


def listed(client, **query: object) -> list[str]:
    answer = client.get(link("", **query))
    assert answer.status_code == 200, answer.text
    return re.findall(r'id="row-([^"]+)"', answer.text)


def test_runs_are_narrowed_by_the_address(client, stage):
    everything = listed(client)
    assert {stage.good, stage.poor, stage.evil} <= set(everything)
    assert listed(client, model="simulated:0.3", data="world:users=12,items=80,seed=3") == [stage.poor]
    assert listed(client, data="strangers") == [stage.evil]
    assert listed(client, text="STRANGERS pref") == [stage.evil] and listed(client, text="strangers pulse") == []
    assert "None of the" in client.get(link("", text="nobody")).text
    said = client.get(link("", data="strangers")).text
    assert '<option value="strangers" selected>' in said
    assert "data=strangers" in re.findall(r'href="(/\?[^"]*sort=calls[^"]*)"', said)[0], "a head keeps the filter"


@pytest.mark.parametrize("sort", SORTS)
def test_every_column_sorts_both_ways(client, sort):
    down, up = listed(client, sort=sort, desc=1), listed(client, sort=sort, desc=0)
    assert sorted(down) == sorted(up) and len(down) >= 3
    said = client.get(link("", sort=sort, desc=1)).text
    assert said.count("aria-sort") == 1 and 'aria-sort="descending"' in said
    (away,) = re.findall(r'aria-sort="descending"><a href="([^"]+)"', said)
    assert f"sort={sort}" in away and "desc=0" in away


def test_the_largest_come_first_and_unknown_columns_are_refused(client, stage):
    def sums(text: str) -> list[int]:
        return [int(n.replace(",", "")) for n in re.findall(r'/calls">([\d,]+)</a>', text)]

    found = sums(client.get("/?sort=calls").text)
    assert len(found) >= 3 and found == sorted(found, reverse=True)
    assert sums(client.get("/?sort=calls&desc=0").text) == found[::-1]
    assert listed(client, sort="errors", text="preference")[0] == stage.evil, "it has answers of no use"
    refused = client.get("/?sort=beauty")
    assert refused.status_code == 404 and "column to sort by" in refused.text


def test_what_results_are_worth_is_said_when_asked_and_then_known_to_the_list(client, stage):
    address = link("runs", stage.good)
    before = client.get(address).text
    assert "Judge the results" in before and "percentile" not in before.partition('id="results"')[0]
    said = client.get(f"{address}?worth=1").text
    assert "target&#39;s percentile" in said and "12 examples" in said
    assert "Judge the results" not in client.get(address).text
    row = client.get(link("", sort="worth")).text
    assert listed(client, sort="worth")[0] == stage.good and "target&#39;s percent" in row
    judged = client.get(f"{link('runs', stage.evil)}?worth=1").text
    assert "percentile" in judged or "cannot be said" in judged


def test_runs_to_compare_are_picked_in_groups_of_one_graph_and_data(client, stage):
    said = html.unescape(client.get("/diff").text)
    groups = re.findall(r'<optgroup label="([^"]+)">(.*?)</optgroup>', said, re.DOTALL)
    mine = [inside for label, inside in groups if label == "cot_rec.preference · world:users=12,items=80,seed=3"]
    assert len(mine) == 2, "once for each of the two"
    assert all(f'value="{run}"' in inside for inside in mine for run in (stage.good, stage.poor))
    assert not any(stage.evil in inside for inside in mine)


def test_nodes_are_drawn_with_what_they_took():
    nodes = {
        "slow": Sum(calls=2, tokens_in=100, tokens_out=50, seconds=4.0, longest=3.0, errors=1, unreadable=1),
        "quick": Sum(calls=4, tokens_in=200, tokens_out=10, seconds=1.0, longest=0.5),
        "idle": Sum(),
    }
    charts = {chart.title: chart for chart in by_node(nodes)}
    assert list(charts) == ["tokens", "latency of a call", "errors"], "nothing cost anything"
    tokens = {bar.node: bar for bar in charts["tokens"].bars}
    assert [bar.node for bar in charts["tokens"].bars] == ["quick", "slow", "idle"]
    assert (tokens["slow"].share, tokens["slow"].behind, tokens["slow"].told) == (0.25, 0.5, "100 → 50")
    assert charts["latency of a call"].bars[0].told == "2.0 s, up to 3.0 s"
    assert (charts["errors"].bars[0].share, charts["errors"].bars[0].told) == (0.5, "1 + 1")
    assert by_node({}) == []


def test_a_run_shows_its_charts(client, stage):
    said = client.get(link("runs", stage.evil)).text
    assert '<figure class="bars">' in said and "and unusable answers behind them" in said
    assert re.search(r'aria-label="summarise: [^"]+"><rect class="behind" width="100.0"', said)
