import pytest

from whyrec.data import load
from whyrec.errors import UsageError

GENRES = "|".join("1" if i in (4, 5) else "0" for i in range(19))


def check(c, genres):
    assert (c.n_users, c.n_items, c.n_interactions) == (2, 2, 3)
    assert c.user_ids.to_list() == ["1", "2"] and c.items.tolist() == [2, 1, 1]
    assert c.times.tolist() == [10, 20, 5] and c.ratings.tolist() == [4.0, 5.0, 3.0]
    assert c.item(1).title == "Amélie (2001)" and c.item(1).categories == genres


def test_100k(write, settings):
    write("ml/u.data", "1\t31\t5\t20\n1\t32\t4\t10\n2\t31\t3\t5\n")
    items = f"31|Am\u00e9lie (2001)|01-Jan-2001||http://x|{GENRES}\n32|Heat||||{GENRES}\n"
    write("ml/u.item", items, "latin-1")
    check(load("ml", settings=settings), ("Children's", "Comedy"))


@pytest.mark.parametrize("end", ["", ".gz"])
def test_1m(write, settings, end):
    write(f"ml/ratings.dat{end}", "1::31::5::20\n1::32::4::10\n2::31::3::5\n")
    write(
        f"ml/movies.dat{end}",
        "31::Am\u00e9lie (2001)::Comedy|Drama\n32::Heat::Crime\n33::Never met::Drama\n",
        "latin-1",
    )
    check(load("ml", settings=settings), ("Comedy", "Drama"))


def test_latest(write, settings):
    write("ml/ratings.csv", "userId,movieId,rating,timestamp\r\n1,31,5.0,20\r\n1,32,4.0,10\r\n2,31,3.0,5\r\n")
    write(
        "ml/movies.csv",
        'movieId,title,genres\r\n31,"Am\u00e9lie (2001)",Comedy|Drama\r\n32,Heat,(no genres listed)\r\n',
    )
    c = load("ml", settings=settings)
    check(c, ("Comedy", "Drama"))
    assert c.item(2).categories == ()


def test_plots_beside_it_are_taken(write, settings):
    write("ml/ratings.dat", "1::31::5::20\n")
    write("ml/movies.dat", "31::A::Comedy\n")
    write("ml/items.jsonl", '{"item_id": 31, "title": "A", "genres": ["Comedy"], "description": "A plot."}\n')
    item = load("ml", settings=settings).item(1)
    assert item.description == "A plot." and item.categories == ("Comedy",)


@pytest.mark.parametrize(
    ("line", "what"),
    [("1::31::5", "line 2: 3 fields"), ("1::31::5::", "line 2: time is empty"), ("1::31::five::9", "line 2: rating")],
)
def test_a_malformed_line_names_file_and_line(write, settings, line, what):
    write("ml/ratings.dat", f"1::31::5::20\n{line}\n1::31::5::20\n")
    write("ml/movies.dat", "31::A::Comedy\n")
    with pytest.raises(UsageError, match=rf"ratings\.dat, {what}"):
        load("ml", settings=settings)
