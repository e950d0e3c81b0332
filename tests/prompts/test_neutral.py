from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompts.neutral import neutralise, neutralise_answer

FORBIDDEN = set("<>[]|")


@pytest.mark.parametrize(
    "text",
    [
        "R&D 3/4",
        "Café crème – 30% off!",
        "日本語のタイトル",
        'It\'s "fine" (really)',
        "C# & F# {x}",
        "50 €, 5' 7\"",
        "한국어 ไทย हिन्दी",
        "",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert neutralise(text) == text


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("a <b> c", "a ‹b› c"),
        ("[INST] do [/INST]", "(INST) do (/INST)"),
        ("<|im_start|>system", "‹/im_start/›system"),
        ("＜｜User｜＞", "‹/User/›"),
        ("<｜end▁of▁sentence｜>", "‹/end▁of▁sentence/›"),
        ("a | rated: 5", "a / rated: 5"),
        ("two\nlines\r\n\there\u2028and\x85there", "two lines here and there"),
        ("in\u200bvis\u202eible\U000e0041\ufe0f\x00", "invisible"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("### Instruction: obey", "# Instruction: obey"),
        ("#\u200b#＃", "#"),
        ("  padded\u00a0 text ", "padded text"),
    ],
)
def test_markup_goes(text: str, harmless: str) -> None:
    assert neutralise(text) == harmless


def test_no_character_of_unicode_gets_through() -> None:
    """Alone and under every compatibility folding; the table of look-alikes is complete for this Python's Unicode."""
    for start in range(0, sys.maxunicode + 1, 4096):
        block = "".join(map(chr, range(start, start + 4096)))
        clean = neutralise(block)
        for form in ("NFC", "NFD", "NFKC", "NFKD"):
            assert not FORBIDDEN & set(unicodedata.normalize(form, clean))
        unseen = [c for c in clean if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")]
        assert unseen == []
        assert "##" not in unicodedata.normalize("NFKC", clean)


HOSTILE = st.text(st.one_of(st.characters(), st.sampled_from("<>[]|#＜｜ \n\u200b\u2028\ud800")), max_size=80)


@given(HOSTILE)
@settings(max_examples=400, deadline=None)
def test_it_is_idempotent_encodable_and_one_line(text: str) -> None:
    clean = neutralise(text)
    assert neutralise(clean) == clean
    assert len(clean) <= len(text)
    assert clean.encode("utf-8").decode("utf-8") == clean
    assert clean.splitlines() in ([], [clean])
    assert not FORBIDDEN & set(clean)


def test_an_answer_keeps_its_json_and_loses_chat_tokens() -> None:
    said = '{"keywords": ["a", "b"]}\n<|im_end|> [INST] </think>'
    assert neutralise_answer(said) == '{"keywords": ["a", "b"]}\n‹|im_end|› (INST) ‹/think›'


def test_an_answer_in_tags_keeps_only_its_own_tags() -> None:
    said = "<keywords>a, b</keywords><s>"
    assert neutralise_answer(said, keep=["keywords"]) == "<keywords>a, b</keywords>‹s›"
    assert neutralise_answer(said) == "‹keywords›a, b‹/keywords›‹s›"


@pytest.mark.parametrize(
    "token",
    [
        "[INST]", "[/INST]", "[TOOL_CALLS]", "[gMASK]", "[CLS]", "[|user|]", "[|endofturn|]", "[UNUSED_TOKEN_146]",
        "[unused12]", "[control_8]", "[@BOS@]", "]~b]", "]~!b[", "[e~[", "]!p~[", "]<]image[>[",
        "]<]start of speech[>[", "<|im_end|>", "<s>", "<<SYS>>", "<｜User｜>", "</think>", "<0x0A>",
        "<|START_OF_TURN_TOKEN|>", "［INST］", "[IN\u200bST]", "＜|im_end|＞", "|||IP_ADDRESS|||", "[Ｉnst]",
    ],
)  # fmt: skip
@pytest.mark.parametrize("around", ["{}", 'a{}b {{"c": ["{}", 1]}}', "\n{}\n", "[{}]", "x[1]{}[2]", "{}{}"])
def test_no_chat_token_of_any_family_survives_in_an_answer(token: str, around: str) -> None:
    said = around.replace("{}", token).replace("{{", "{").replace("}}", "}")
    seen = "".join(c for c in token if c != "\u200b")
    for form in ("NFC", "NFKC"):
        told, whole = (unicodedata.normalize(form, t).lower() for t in (neutralise_answer(said), seen))
        assert whole not in told, told
    assert neutralise_answer(neutralise_answer(said)) == neutralise_answer(said)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": ["b", "c"], "d": [1,2], "e": [true], "f": [[1],[2]], "g": [], "h": [{"id":1},{"id":2}], "i": [-1.5e3]}',
        '["one"]', "['one', 'two']", "see [17] and [citation needed]", "Search[Grey Harbour]", "- [x] done",
        "## summary\nWarm | thin || wool\n## keywords\n- a\n", "a\tb\r\nc", "Café – 30% (off)! 日本語 C# it's",
    ],
)  # fmt: skip
def test_an_ordinary_answer_stays_as_it_is(text: str) -> None:
    assert neutralise_answer(text) == text


@given(st.text(st.one_of(st.characters(), st.sampled_from('<>[]|#＜｜ \n\u200b\u2028\ud800~b1,"{}:')), max_size=80))
@settings(max_examples=400, deadline=None)
def test_an_answer_made_harmless_stays_so(text: str) -> None:
    clean = neutralise_answer(text)
    assert neutralise_answer(clean) == clean and len(clean) <= len(text)
    assert not set("<>＜＞［］｜") & set(clean)
    clean.encode("utf-8")
