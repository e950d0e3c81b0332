from collections import Counter

from whyrec.data.prepare import prepare
from whyrec.data.ties import shuffled


def test_only_events_of_one_user_and_one_time_change_places(raw):
    times = [1, 1, 1, 2, None, None, 3, 3, 3, 3]
    c = prepare(raw(user=list("uuuuuuuvvv"), item=list("abcdefghij"), time=times, review=list("abcdefghij")), "x")
    seen = Counter()
    for seed in range(60):
        s = shuffled(c, seed)
        ids = "".join(s.item(int(i)).id for i in s.items)
        assert sorted(ids[:3]) == list("abc") and ids[3:7] == "defg" and sorted(ids[7:]) == list("hij")
        assert s.reviews.to_list() == list(ids) and s.times.tolist() == c.times.tolist()
        seen[ids[:3]] += 1
        assert shuffled(c, seed).digest == s.digest
    assert len(seen) == 6


def test_without_times_nothing_moves(raw):
    c = prepare(raw(user=list("uuu"), item=list("abc")), "x")
    assert shuffled(c, 0).digest == c.digest
