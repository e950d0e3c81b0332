"""Unknown is said: never a zero, never a dollar sign in front of nothing."""

from whyrec.runs.amounts import money, spent, sums, tokens


def test_one_call() -> None:
    assert (tokens(12, 5), tokens(0, 0), tokens(None, None), tokens(12, None)) == (
        "12 → 5",
        "0 → 0",
        "unknown",
        "12 → ?",
    )
    assert (money(0.5), money(0.0), money(None)) == ("$0.50000", "", "unknown")


def test_many_calls() -> None:
    assert sums(1200, 90, 0, 10) == "1,200 in, 90 out"
    assert sums(1200, 90, 3, 10) == "at least 1,200 in, 90 out (3 of 10 calls unknown)"
    assert sums(0, 0, 10, 10) == "unknown"
    assert sums(0, 0, 0, 0) == "0 in, 0 out"
    assert spent(0.0, 0, 10) == "$0" and spent(0.0, 10, 10) == "unknown"
    assert spent(0.0, 4, 10) == "unknown (4 of 10 calls not counted)"
    assert spent(1.5, 4, 10) == "at least $1.5000 (4 of 10 calls unknown)" and spent(1234.5, 0, 1) == "$1,234.50"
