"""What makes two requests the same question to the cache."""

from dataclasses import fields, replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from whyrec.llm.built_in.echo import Echo
from whyrec.llm.model import About, AnswerFormat, Message, Request, Sampling
from whyrec.llm.system_text import FOLDED
from whyrec.llm.wrappers.cache_file import CacheFile
from whyrec.llm.wrappers.cached import Cached, request_digest, score_digest

ASK = Request((Message("user", "who?"),))


def test_a_digest_changes_with_all_that_changes_answers_and_with_nothing_else() -> None:
    base = Request((Message("user", "a"), Message("assistant", "b")), Sampling(stop=("x",)), samples=(0, 1))
    same = [
        replace(base, about=About(run="r", user="u", turn=3, blanks={"x": 1})),
        replace(base, samples=(0,)),
        replace(base, sampling=Sampling(temperature=0, stop=("x",))),
    ]
    others = [
        replace(base, messages=(Message("user", "a"),)),
        replace(base, messages=(Message("system", "a"), Message("assistant", "b"))),
        replace(base, messages=(Message("user", "ab"), Message("assistant", ""))),
        replace(base, messages=(Message("user", 'a"],["assistant","b'),)),
        replace(base, sampling=Sampling(temperature=0.5, stop=("x",))),
        replace(base, sampling=Sampling(top_p=0.5, stop=("x",))),
        replace(base, sampling=Sampling(max_tokens=7, stop=("x",))),
        replace(base, sampling=Sampling(stop=("y",))),
        replace(base, sampling=Sampling(stop=("x",), seed=1)),
        replace(base, sampling=Sampling(stop=("x",), thinking="off")),
        replace(base, sampling=Sampling(stop=("x",), thinking_tokens=64)),
        replace(base, format=AnswerFormat("json", "n", "{}")),
        replace(base, format=AnswerFormat("tags", "n", "{}")),
        replace(base, format=AnswerFormat("json", "n", '{"a":1}')),
        replace(base, prefix="p"),
        replace(base, top_logprobs=5),
        replace(base, retry=1),
    ]
    digest = request_digest(base, 0)
    assert len(digest) == 16 and all(request_digest(other, 0) == digest for other in same)
    all_digests = [digest, request_digest(base, 1), *[request_digest(other, 0) for other in others]]
    assert len(set(all_digests)) == len(all_digests)
    assert {f.name for f in fields(Request)} == {
        "messages", "sampling", "samples", "format", "prefix", "top_logprobs", "retry", "about"
    }, "a new field of Request must be put into the digest, or into this list on purpose"  # fmt: skip
    assert {f.name for f in fields(Sampling)} == {
        "temperature", "top_p", "max_tokens", "stop", "seed", "thinking", "thinking_tokens"
    }  # fmt: skip
    assert {f.name for f in fields(AnswerFormat)} == {"kind", "name", "schema"}


def test_the_digest_is_frozen() -> None:
    request = Request((Message("system", "Sei kurz."), Message("user", "wér?")), Sampling(seed=3), prefix="{")
    assert request_digest(request, 2).hex() == "38bb8de9802d834def5f27f98b1b9727"


@given(st.lists(st.text(max_size=8), min_size=1, max_size=3), st.lists(st.text(max_size=8), min_size=1, max_size=3))
def test_different_messages_never_look_the_same(a: list[str], b: list[str]) -> None:
    first, second = (Request(tuple(Message("user", text) for text in texts)) for texts in (a, b))
    assert (request_digest(first, 0) == request_digest(second, 0)) == (a == b)


def test_scores_have_digests_of_their_own() -> None:
    scores = [score_digest(ASK, texts) for texts in (["a"], ["a", "b"], ["ab"])]
    assert len({request_digest(ASK, 0), *scores}) == 4


async def test_where_system_text_was_sent_makes_another_entry_and_only_where_there_is_some(tmp_path: Path) -> None:
    told = Request((Message("system", "Be terse."), *ASK.messages))
    plain, folding = Echo(), Echo()
    folding.system_way = FOLDED  # type: ignore[attr-defined]
    apart, led = (Cached(model, CacheFile(tmp_path / "cache.sqlite")) for model in (plain, folding))
    try:
        assert apart.key_of(told, 0) != led.key_of(told, 0) and apart.key_of(ASK, 0) == led.key_of(ASK, 0)
    finally:
        await apart.close()
        await led.close()
