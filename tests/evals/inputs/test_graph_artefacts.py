from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evals.artefacts import Source, has_descriptions, of_the_data
from evals.inputs import graph_artefacts
from evals.inputs.graph_artefacts import GraphArtefacts
from graphs.run import How, RunReport
from whyrec.data.corpus import Corpus
from whyrec.data.generated.world import World, make
from whyrec.data.split import SplitView
from whyrec.errors import UsageError
from whyrec.llm import Budget
from whyrec.runs import open_run
from whyrec.settings import read_settings


@pytest.fixture(scope="module")
def world() -> World:
    return make(users=12, items=30, seed=1)


def how(world: World, home: Path) -> How:
    return How(settings=read_settings(home=home), world=world)


def test_names_say_what_is_read() -> None:
    assert str(Source("caption")) == "caption"
    assert str(Source("description", "extractive")) == "description@extractive"
    assert str(Source("preference", "simulated:0.5", batch=5, overlap=1)) == "preference@simulated:0.5 5/1"


def test_texts_of_the_data(world: World) -> None:
    corpus = world.corpus
    captions, upstream = of_the_data(corpus, Source("caption")), of_the_data(corpus, Source("upstream"))
    titled = next(i for i in range(1, corpus.n_items + 1) if corpus.item(i).title and corpus.item(i).description)
    item = corpus.item(titled)
    assert captions.texts[titled - 1].startswith(item.title) and item.description not in captions.texts[titled - 1]
    assert item.description in upstream.texts[titled - 1]
    assert captions.digest != upstream.digest and len(captions.texts) == corpus.n_items
    assert has_descriptions(corpus)
    assert not has_descriptions(
        replace(corpus, catalogue=corpus.catalogue.with_columns(description=None).fill_null(""))
    )


def test_every_item_and_every_user_gets_a_text(world: World, tmp_path: Path) -> None:
    seen: list[tuple[str, RunReport]] = []
    artefacts = GraphArtefacts(
        world.corpus,
        how=how(world, tmp_path),
        said=lambda source, report: seen.append((str(source).partition("@")[0], report)),
    )
    preference = Source("preference", "extractive", batch=5, overlap=1)
    texts = artefacts.texts(preference)
    assert [what for what, _report in seen] == ["description", "preference"], "users are read with described items"
    shown = set(SplitView(world.corpus, "valid").users.tolist())
    assert len(texts.texts) == world.corpus.n_users and texts.failed == ()
    assert all(bool(text) == (user in shown) for user, text in enumerate(texts.texts))
    assert texts.note["users"] == len(shown) and texts.note["without"] == 0
    assert texts.note["merges per user"] > 0, "batches of 5 fold longer histories"
    described = artefacts.texts(Source("description", "extractive"))
    captions = of_the_data(world.corpus, Source("caption")).texts
    assert len(described.texts) == world.corpus.n_items
    assert all(d.startswith(c) and len(d) > len(c) for d, c in zip(described.texts, captions, strict=True))
    assert artefacts.texts(preference) is texts


def test_a_second_session_reads_what_is_there(world: World, tmp_path: Path) -> None:
    preference = Source("preference", "extractive")
    first = GraphArtefacts(world.corpus, how=how(world, tmp_path)).texts(preference)
    again = GraphArtefacts(world.corpus, how=how(world, tmp_path))
    assert [e.examples for _source, e in again.estimates([preference]) if e] == [0, 0]
    assert again.texts(preference).digest == first.digest and again.texts(preference).note == first.note


def test_what_is_to_be_asked_is_known_before(world: World, tmp_path: Path) -> None:
    artefacts = GraphArtefacts(world.corpus, how=how(world, tmp_path))
    found = dict(artefacts.estimates([Source("caption"), Source("preference", "extractive")]))
    assert {str(s): e.examples for s, e in found.items() if e} == {
        "description@extractive": world.corpus.n_items,
        "preference@extractive 10/2": len(SplitView(world.corpus, "valid").users),
    }


def test_preferences_know_neither_target(world: World, tmp_path: Path) -> None:
    """Poison: replace every validation and test target by a title of its own; no prompt of a user may hold it."""
    corpus = poisoned(world.corpus)
    artefacts = GraphArtefacts(corpus, how=How(settings=read_settings(home=tmp_path)))
    texts = artefacts.texts(Source("preference", "extractive"))
    assert poison_in(tmp_path, str(texts.note["run"])) == 0
    assert not any("poison" in text.lower() for text in texts.texts)


def test_the_poison_test_finds_a_leak(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A leak on purpose: preferences made from the test history, which holds the validation target."""
    real = graph_artefacts.preference.Options
    monkeypatch.setattr(graph_artefacts.preference, "Options", lambda split, **rest: real(split="test", **rest))
    corpus = poisoned(world.corpus)
    artefacts = GraphArtefacts(corpus, how=How(settings=read_settings(home=tmp_path)))
    texts = artefacts.texts(Source("preference", "extractive"))
    assert poison_in(tmp_path, str(texts.note["run"])) > 0


def poison_in(home: Path, run_id: str) -> int:
    """How many of a run's calls hold the sentinel."""
    run = open_run(home, run_id)
    calls = list(run.calls())
    run.close()
    assert len(calls) >= 10
    return sum("poison" in (call["messages"] + call["blanks"]).lower() for call in calls)


def poisoned(corpus: Corpus) -> Corpus:
    """The last two events of every user become items of their own, whose titles say so."""
    import polars as pl

    items = corpus.items.copy()
    ends = corpus.offsets[1:]
    users = [u for u in range(corpus.n_users) if corpus.lengths[u] >= 3]
    new = corpus.n_items + 1
    rows = []
    for u in users:
        for back in (2, 1):
            items[ends[u] - back] = new + len(rows)
            rows.append({"id": f"p{u}-{back}", "title": f"Poison {u}", "description": "poison", "brand": ""})
    extra = pl.DataFrame(rows).with_columns(pl.Series("categories", [["poison"]] * len(rows)))
    return replace(corpus, items=items, catalogue=pl.concat([corpus.catalogue, extra]), name="poisoned", reviews=None)


def test_a_spent_budget_says_how_to_go_on(world: World, tmp_path: Path) -> None:
    little = replace(how(world, tmp_path), budget=Budget(calls=5))
    with pytest.raises(UsageError, match="goes on from there"):
        GraphArtefacts(world.corpus, how=little).texts(Source("description", "extractive"))
    whole = GraphArtefacts(world.corpus, how=how(world, tmp_path)).texts(Source("description", "extractive"))
    assert whole.failed == ()
