import pytest

from whyrec.data import load
from whyrec.data.corpus import NO_TIME
from whyrec.errors import UsageError

NEWS = "N1\tsports\tgolf\tA putt\tIt went in.\thttp://x\t[]\t[]\nN2\tnews\t\tB\t\thttp://x\t[]\t[]\n"
BEHAVIORS = (
    "1\tU1\t11/12/2019 2:14:46 PM\tN1 N2\tN3-0 N4-1\n"
    "2\tU1\t11/11/2019 9:00:00 AM\tN1 N2\tN5-1 N1-1 N6-0\n"
    "3\tU2\t11/11/2019 12:00:00 AM\t\tN2-0\n"
    "4\tU3\t11/11/2019 12:00:00 AM\t\tN2-1\n"
)


@pytest.mark.parametrize("end", ["", ".gz"])
def test_history_then_clicks_by_time_deduplicated(write, settings, end):
    write(f"mind/news.tsv{end}", NEWS)
    write(f"mind/behaviors.tsv{end}", BEHAVIORS)
    c = load("mind", settings=settings)
    assert c.user_ids.to_list() == ["U1", "U3"]  # U2 clicked nothing
    first = [c.item(int(i)).id for i in c.items[: c.offsets[1]]]
    assert first == ["N1", "N2", "N5", "N4"]  # the click on N1, already read, is dropped
    assert c.times.tolist() == [NO_TIME, NO_TIME, 1573462800, 1573568086, 1573430400]
    putt = c.item(1)
    assert (putt.title, putt.description, putt.categories) == ("A putt", "It went in.", ("sports", "golf"))
    assert c.item(2).categories == ("news",)
    raw = load("mind?dedup=no", settings=settings)
    assert [raw.item(int(i)).id for i in raw.items[: raw.offsets[1]]] == ["N1", "N2", "N5", "N1", "N4"]


def test_train_and_dev_are_read_together(write, settings):
    for part, line in (
        ("MINDsmall_dev", "1\tU1\t11/15/2019 1:00:00 PM\tN1 N3\tN2-1\n"),
        ("MINDsmall_train", BEHAVIORS),
    ):
        write(f"mind/{part}/news.tsv", NEWS)
        write(f"mind/{part}/behaviors.tsv", line)
    c = load("mind", settings=settings)
    assert [c.item(int(i)).id for i in c.items[: c.offsets[1]]] == ["N1", "N2", "N5", "N4"]
    assert c.notes["users with several histories (first kept)"] == 1


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("2\tU1\t2019-11-11\tN1\tN5-1", "the time cannot be read from '2019-11-11'"),
        ("2\tU1\t11/11/2019 9:00:00 AM\tN1\tN5-2", "an impression .* cannot be read from 'N5-2'"),
        ("2\tU1\t11/11/2019 9:00:00 AM\tN5-1", "4 fields, where 5"),
    ],
)
def test_a_malformed_line_names_file_and_line(write, settings, line, what):
    write("mind/news.tsv", NEWS)
    write("mind/behaviors.tsv", BEHAVIORS.splitlines()[0] + "\n" + line + "\n")
    with pytest.raises(UsageError, match=rf"behaviors\.tsv, line 2: {what}"):
        load("mind", settings=settings)
