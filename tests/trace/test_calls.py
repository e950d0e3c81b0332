"""Finding calls: every condition, alone and together; orders; full text with words, phrases and beginnings."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing

import pytest

from graphs.run import How, run
from whyrec.data import open_data
from whyrec.errors import UnknownNameError, UsageError
from whyrec.runs import Run, RunReader, open_run
from whyrec.settings import read_settings
from whyrec.trace import Calls, TextIndex, Wanted
from whyrec.trace.search import FILE_NAME, Query, words

DATA = "world:users=30,items=80,seed=3"


@pytest.fixture
def made() -> RunReader:
    settings = read_settings()
    opened = open_data(DATA, settings=settings)
    how = How(settings=settings, world=opened.world)
    report = asyncio.run(run("cot_rec.preference", corpus=opened.data, model="simulated:1", how=how))
    return open_run(settings.home, report.run)


def by_hand(run: RunReader, **same: object) -> list[int]:
    return [call["id"] for call in run.calls() if all(call[name] == value for name, value in same.items())]


@pytest.mark.parametrize(
    "wanted", [{"user": "u3"}, {"node": "merge"}, {"example": "test/u3"}, {"user": "u3", "node": "merge"}]
)
def test_conditions_find_what_reading_every_call_finds(made, wanted):
    with Calls(made) as calls:
        found = [line.id for line in calls.find(Wanted(**wanted), limit=10_000)]
        assert found == by_hand(made, **wanted)
        assert calls.count(Wanted(**wanted)) == len(found)
        assert calls.find(Wanted(**wanted), limit=1, offset=1) == calls.find(Wanted(**wanted), limit=2)[1:]


def test_prompt_version_status_and_cost(made):
    with Calls(made) as calls:
        digest = calls.find(Wanted(node="merge"), limit=1)[0].prompt_digest
        assert [c.node for c in calls.find(Wanted(version=digest[:6]), limit=10_000)] == ["merge"] * len(
            by_hand(made, node="merge")
        )
        assert calls.count(Wanted(status="error")) == 0 and calls.count(Wanted(status="ok")) == calls.count(Wanted())
        assert calls.count(Wanted(cached=True)) == 0 and calls.count(Wanted(cached=False)) == calls.count(Wanted())
        assert calls.count(Wanted(repaired=True)) == 0
        assert calls.count(Wanted(dearer=0.01)) == 0 and calls.count(Wanted(slower=0.0)) == calls.count(Wanted())
        assert calls.count(Wanted(model="simulated:0")) == 0
        assert calls.values("node") == ["merge", "summarise"]
        assert calls.values("prompt") == ["cot_rec/merge_preference", "cot_rec/summarise_batch"]


def test_orders_sort_and_unknown_ones_are_listed(made):
    with Calls(made) as calls:
        most = calls.find(Wanted(), order="tokens", descending=True, limit=5)
        tokens = [line.tokens_in + line.tokens_out for line in most]
        assert tokens == sorted((c["tokens_in"] + c["tokens_out"] for c in made.calls()), reverse=True)[:5]
        with pytest.raises(UnknownNameError, match=r"order.*tokenz.*tokens"):
            calls.find(Wanted(), order="tokenz")
        with pytest.raises(UnknownNameError, match=r"node in the run.*'merg'.*Did you mean 'merge'"):
            calls.find(Wanted(node="merg"))


def test_a_user_nobody_knows_has_neighbours(made):
    with Calls(made) as calls:
        assert calls.find(Wanted(user="u2x")) == []
        column, names = calls.near(Wanted(user="u2x"))
        assert column == "user" and "u2" in names
        assert calls.near(Wanted(user="zz"))[1][0].startswith("u"), "nothing comes after it, so what comes before"


def test_a_graph_or_model_nobody_knows_has_those_there_are(made):
    with Calls(made) as calls:
        model = next(made.calls())["model"]
        assert calls.near(Wanted(model="nope")) == ("model", [model])
        assert calls.near(Wanted(graph="nope", model=model)) == ("graph", ["cot_rec.preference"])
        assert calls.near(Wanted(graph="cot_rec.preference", slower=9e9)) == ("", [])


def test_words_phrases_and_beginnings(made):
    everything = {c["id"]: words(" ".join((c["blanks"], c["answer"]))) for c in made.calls()}
    answer = next(made.calls())["answer"]
    one, two = words(answer)[2:4]
    with Calls(made) as calls:
        both = {line.id for line in calls.find(Wanted(text=f"{one.upper()} {two}"), limit=10_000)}
        assert both == {n for n, told in everything.items() if one in told and two in told} and both
        following = {line.id for line in calls.find(Wanted(text=f'"{one} {two}"'), limit=10_000)}
        assert following <= both and 1 in following
        backwards = {line.id for line in calls.find(Wanted(text=f'"{two} {one}"'), limit=10_000)}
        assert 1 not in backwards or (two, one) in zip(words(answer), words(answer)[1:], strict=False)
        assert calls.count(Wanted(text=f'"{one} {two}"')) == len(following)
        begin = {line.id for line in calls.find(Wanted(text=f"{one[:4]}*"), limit=10_000)}
        assert begin == {n for n, told in everything.items() if any(w.startswith(one[:4]) for w in told)}
        few = calls.find(Wanted(text=one, user="u3"), limit=10_000)
        assert [line.id for line in few] == [n for n in by_hand(made, user="u3") if one in everything[n]]
        assert calls.find(Wanted(text="zzzyyyxxx")) == []


def test_the_index_grows_with_the_run_and_survives_being_deleted(made):
    told: list[tuple[int, int]] = []
    with Calls(made, progress=lambda done, whole: told.append((done, whole))) as calls:
        assert calls.find(Wanted(text="matter"), limit=1)
    whole = made.counts().calls
    assert told == [(whole, whole)]
    settings = read_settings()
    opened = open_data("world:users=30,items=80,seed=3", settings=settings)
    how = How(settings=settings, world=opened.world, retry_failed=True)
    asyncio.run(run("cot_rec.preference", corpus=opened.data, model="simulated:1", how=how))
    (made.folder / FILE_NAME).unlink()
    with Calls(made) as calls:
        assert calls.find(Wanted(text="matter"), limit=1)


def test_words_of_two_strings_do_not_follow_one_another(made):
    answers = {call["id"]: json.loads(call["answer"]) for call in made.calls(node="summarise")}
    ends = {number: (words(told["summary"])[-2:], words(told["keywords"][0])[:1]) for number, told in answers.items()}
    with Calls(made) as calls:
        for number, (end, begin) in list(ends.items())[:10]:
            assert number in {line.id for line in calls.find(Wanted(text=f'"{" ".join(end)}"'), limit=10_000)}
            across = calls.find(Wanted(text=f'"{" ".join(end + begin)}"'), limit=10_000)
            assert number not in {line.id for line in across}, "the last words of one string and the first of another"


def test_an_index_of_an_older_form_is_made_again(made):
    with closing(sqlite3.connect(made.folder / FILE_NAME)) as old, old:
        old.execute("CREATE VIRTUAL TABLE call_text USING fts5(body, content='', detail=none)")
        old.execute("CREATE TABLE upto (id INTEGER NOT NULL)")
        old.execute("INSERT INTO upto VALUES (?)", (made.counts().calls,))
    assert TextIndex(made).missing() == made.counts().calls
    with Calls(made) as calls:
        assert calls.find(Wanted(text="matter"), limit=1)
    assert TextIndex(made).missing() == 0


@pytest.mark.parametrize("how", ["rubbish", "empty", "cut", "no tables", "tokens", "odd number", "odd text", "flipped"])
def test_a_damaged_index_is_made_again(made, how):
    with Calls(made) as calls:
        there = [line.id for line in calls.find(Wanted(text="matter"), limit=10_000)]
    path = made.folder / FILE_NAME
    if how in ("rubbish", "empty"):
        path.write_bytes(b"" if how == "empty" else b"not a database at all" * 100)
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:2_000])
    elif how == "tokens":
        path.write_bytes(path.read_bytes().replace(b"unicode61", b"unicode62"))
    elif how == "flipped":
        raw = bytearray(path.read_bytes())
        raw[100:140] = b"\xff" * 40
        path.write_bytes(raw)
    else:
        with closing(sqlite3.connect(path)) as index, index:
            index.execute(
                "DROP TABLE upto" if how == "no tables" else "UPDATE upto SET id=?",
                *([] if how == "no tables" else [(9e999 if how == "odd number" else "many",)]),
            )
    with Calls(made) as calls:
        assert [line.id for line in calls.find(Wanted(text="matter"), limit=10_000)] == there


def test_a_lost_text_hides_no_other_call_from_a_search(made):
    with Calls(made) as calls:
        whole = [line.id for line in calls.find(Wanted(text="matter"), limit=10_000)]
    (made.folder / FILE_NAME).unlink()
    with closing(sqlite3.connect(made.path)) as file, file:
        texts = [digest for (digest,) in file.execute("SELECT DISTINCT answer FROM call WHERE id<=5")]
        file.executemany("DELETE FROM text WHERE digest=?", [(digest,) for digest in texts])
        lost = {n for (n,) in file.execute(f"SELECT id FROM call WHERE answer IN ({','.join(map(str, texts))})")}
    with Calls(made) as calls:
        found = [line.id for line in calls.find(Wanted(text="matter"), limit=10_000)]
    assert found and set(whole) - set(found) <= lost


def test_queries_are_words_and_nothing_of_fts_syntax_gets_through():
    assert Query.of("") == Query()
    assert Query.of('NEAR(a b) OR "x" -y col:z').match == '"near a" "b" "or" "x" "y" "col z"'
    assert Query.of("don't worry").match == '"don t" "worry"'
    assert Query.of("Crème brûl*").match == '"creme" "brul"*'
    with pytest.raises(UsageError, match="no word"):
        Query.of("--- ***")


def test_a_run_that_is_being_written_can_be_searched(made):
    settings = read_settings()
    assert isinstance(made, RunReader) and not isinstance(made, Run)
    opened = open_data(DATA, settings=settings)
    seen: list[int] = []

    def look(snapshot) -> None:
        if snapshot.done and not seen:
            reader = open_run(settings.home, snapshot.run)
            with Calls(reader) as calls:
                seen.append(calls.count(Wanted(text="matter")))
            reader.close()

    how = How(settings=settings, world=opened.world, new=True, cache=False, progress=look)
    asyncio.run(run("cot_rec.preference", corpus=opened.data, model="simulated:1", how=how))
    assert seen
