"""Values as plain data, and as much of them as one wants to read."""

from whyrec.workbench.plain import shortened


def test_long_lists_lose_their_middle_and_long_texts_their_end():
    told = shortened({"a": list(range(40)), "b": "x" * 1_000, "c": [1, {"d": list(range(5))}], "e": None})
    assert told["a"] == [0, 1, "… 37 more …", 39]
    assert told["b"].startswith("x" * 400 + " …") and "1,000" in told["b"] and len(told["b"]) < 430
    assert told["c"] == [1, {"d": [0, 1, 2, 3, 4]}] and told["e"] is None
