import pytest

from whyrec.data import address, load, open_again
from whyrec.errors import UsageError


@pytest.mark.parametrize(
    "options", [{}, {"dedup": ""}, {"user": "a&b", "item": "c=d", "time": "1+2 %#"}, {"title": "Größe/мера?x"}]
)
def test_what_was_written_is_read_again(options):
    assert address.split(address.written("dir/set", options)) == ("dir/set", options)


def test_plain_names_stay_as_they_are():
    assert address.written("yelp", {"kcore": "5", "dedup": ""}) == "yelp?dedup&kcore=5"
    assert address.written("t.csv", {"user": "user id", "item": "sku"}) == "t.csv?item=sku&user=user id"


@pytest.mark.parametrize("name", ["", "?dedup", "set?", "set?a&a"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(UsageError):
        address.split(name)


def test_data_are_found_again_by_where_they_lay(write, settings, tmp_path, monkeypatch):
    write("sub/set/interactions.csv", "user_id,item_id\nu,a\nu,b\n")
    monkeypatch.chdir(tmp_path / "sub")
    first = load("set?kcore=1", settings=settings)
    monkeypatch.chdir("/")
    again = open_again(first.name, first.source, settings=settings).data
    assert (again.name, again.digest) == (first.name, first.digest)
    assert first.source == f"{tmp_path}/sub/set?kcore=1"


def test_what_has_moved_is_looked_for_by_name(write, settings):
    write("set/interactions.csv", "user_id,item_id\nu,a\n")
    assert open_again("set", "/nowhere/set", settings=settings).data.n_items == 1


def test_a_folder_named_by_dots_is_called_by_its_name(write, settings, monkeypatch):
    folder = write("set/interactions.csv", "user_id,item_id\nu,a\n").parent
    monkeypatch.chdir(folder)
    assert load(".", settings=settings).name == str(folder)
