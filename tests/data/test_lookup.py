import pytest

from whyrec.data import load, locate, names
from whyrec.errors import UnknownNameError, UsageError
from whyrec.settings import Settings

ROWS = "user_id,item_id\nu,a\nu,b\nu,a\nv,b\n"


def test_the_first_data_folder_wins_then_paths(write, tmp_path):
    for folder in ("one", "two"):
        write(f"{folder}/set/interactions.csv", ROWS)
    settings = Settings(data=(tmp_path / "one", tmp_path / "two"), home=tmp_path)
    assert locate("set", settings=settings).path == tmp_path / "one" / "set"
    elsewhere = write("three/other/interactions.csv", ROWS).parent
    assert locate(str(elsewhere), settings=settings).path == elsewhere
    assert load("set", settings=settings).n_interactions == 4


def test_a_folder_without_data_does_not_hide_one_with(write, tmp_path):
    (tmp_path / "one" / "set").mkdir(parents=True)
    path = write("two/set/interactions.csv", ROWS)
    assert (
        locate("set", settings=Settings(data=(tmp_path / "one", tmp_path / "two"), home=tmp_path)).path == path.parent
    )


def test_names_are_the_folders_in_a_known_format_and_the_worlds(write, settings, tmp_path):
    write("b/interactions.csv.gz", ROWS)
    write("a/ratings.dat", "")
    write("a/movies.dat", "")
    write("home/data/got/behaviors.tsv", "")
    write("home/data/got/news.tsv", "")
    write("notes/readme.txt", "")
    assert names(settings) == ["a", "b", "got", "facts", "world", "world:default", "world:easy", "world:hard"]


def test_an_unknown_name_lists_the_known_ones_and_where_it_looked(write, settings, tmp_path):
    write("beauty/interactions.csv", ROWS)
    with pytest.raises(UnknownNameError) as caught:
        load("beautty", settings=settings)
    for part in ("Did you mean 'beauty'", "world:easy", str(tmp_path), "WHYREC_DATA"):
        assert part in str(caught.value)


def test_a_folder_in_no_known_format_says_which_are_known(write, settings):
    write("notes/readme.txt", "")
    known = r"no format that is known \(interactions, movielens, bookcrossing, mind, yelp, amazon"
    with pytest.raises(UsageError, match=known):
        load("notes", settings=settings)


def test_options_in_the_name_and_as_arguments_are_the_same(write, settings):
    write("set/interactions.csv", ROWS)
    by_name, by_argument = (
        load("set?kcore=1&dedup", settings=settings),
        load("set", settings=settings, dedup=True, min_events=1),
    )
    assert by_name.n_interactions == by_argument.n_interactions == 3 and by_name.digest == by_argument.digest
    assert load(by_argument.name, settings=settings).digest == by_argument.digest
    assert load("set?dedup=no", settings=settings).n_interactions == load("set", settings=settings).n_interactions == 4
    assert load("set?dedup", settings=settings, dedup=False).n_interactions == 4


def test_the_first_users_of_a_file_are_a_data_set_of_their_own(write, settings):
    rows = [f"u{u},i{(u * 3 + k) % 7},{k}" for u in range(5) for k in range(4)]
    write("set/interactions.csv", "\n".join(["user_id,item_id,position", *rows]) + "\n")
    few = load("set?users=2", settings=settings)
    assert few.user_ids.to_list() == ["u0", "u1"]
    assert set(few.catalogue["id"]) == {f"i{(u * 3 + k) % 7}" for u in range(2) for k in range(4)}
    assert few.digest != load("set", settings=settings).digest
    assert load("set?users=99", settings=settings).digest == load("set", settings=settings).digest


@pytest.mark.parametrize("name", ["set?users=x", "set?dedup=maybe", "set?kcore=-1", "set?", "set?dedup&dedup=no"])
def test_bad_options_are_refused(write, settings, name):
    write("set/interactions.csv", ROWS)
    with pytest.raises(UsageError):
        load(name, settings=settings)


@pytest.mark.parametrize("name", ["", " ", "?dedup"])
def test_an_empty_name_is_no_data_set(write, settings, name):
    write("aaa/interactions.csv", "user,item,timestamp\nu,a,1\nu,b,2\nu,c,3\n")
    with pytest.raises(UsageError, match="names no data set"):
        load(name, settings=settings)


def test_an_unknown_option_lists_the_known_ones(write, settings):
    write("set/interactions.csv", ROWS)
    with pytest.raises(UnknownNameError, match="Did you mean 'dedup'"):
        load("set?dedupe", settings=settings)


def test_worlds_are_generated_and_take_their_options_after_the_colon(settings):
    assert load("world:users=60,items=80", settings=settings).n_users == 60
    with pytest.raises(UsageError, match="after the colon"):
        load("world", settings=settings, dedup=True)
