"""Spec 1.1 on the real files, where they are: counts, order, ties, and what loading costs."""

import time

import numpy as np
import pytest

from whyrec.data import SplitView, load
from whyrec.data.corpus import NO_TIME
from whyrec.data.stats import describe
from whyrec.settings import Settings

pytestmark = pytest.mark.real_data


@pytest.fixture
def real(real_data):
    def get(name, **options):
        folder = real_data(name.partition("?")[0])
        return load(name, settings=Settings(data=(folder.parent,)), **options)

    return get


@pytest.mark.parametrize(
    ("name", "users", "items", "interactions", "samples"),
    [
        ("amazon14_beauty", 22_363, 12_101, 198_502, 131_413),
        ("amazon14_sports", 35_598, 18_357, 296_337, 189_543),
        ("yelp_s3rec", 30_431, 20_033, 316_354, 225_061),
        ("amazon18_instruments_lcrec", 24_772, 9_922, 206_153, 131_837),
        ("amazon14_musical_instruments_reviews", 1_429, 900, 10_261, 5_974),
        ("amazon18_gift_cards_reviews", 458, 148, 2_972, 1_598),
        ("amazon18_industrial_sample", 3_285, 3_541, 22_743, 12_888),
        ("amazon18_video_games", 50_597, 16_874, 453_637, 301_846),
        ("steam_100k", 10_369, 3_593, 126_824, 95_717),
        ("ml-100k", 943, 1_682, 100_000, 97_171),
        ("ml-1m", 6_040, 3_416, 999_611, 981_491),
        ("ml-latest-small", 610, 9_724, 100_836, 99_006),
    ],
)
def test_counts_equal_the_published_ones(real, name, users, items, interactions, samples):
    c = real(name)
    assert (c.n_users, c.n_items, c.n_interactions) == (users, items, interactions)
    offsets, _ = SplitView(c, "train").sequences()
    assert int((np.diff(offsets) - 1).sum()) == interactions - 3 * users == samples


def test_beautys_rows_without_a_time_do_not_move(real):
    c = real("amazon14_beauty")
    assert c.notes["rows without time"] == int((c.times == NO_TIME).sum()) == 287
    assert c.notes["order"] == "position"
    assert c.notes["tied adjacent pairs"] == pytest.approx(0.438, abs=0.0005)
    assert c.notes["tied test targets"] == pytest.approx(0.434, abs=0.0005)
    assert c.user_ids[0] == "A1YJEY40YUW4SE" and c.item(int(c.items[0])).id == "B004756YJA"
    described = describe(c)
    assert described["targets"]["cold test targets"] == pytest.approx(0.0062, abs=0.00005)
    assert described["length"]["share of test histories over 20"] == pytest.approx(0.046, abs=0.0005)
    assert described["text"]["brand"] == pytest.approx(7_475 / 12_101)


def test_beauty_sorted_by_time_alone_keeps_its_order_too(real, real_data, tmp_path):
    import gzip

    lines = gzip.decompress((real_data("amazon14_beauty") / "interactions.csv.gz").read_bytes()).decode().splitlines()
    (tmp_path / "b").mkdir()
    cut = "\n".join(line.rsplit(",", 1)[0] for line in lines)
    (tmp_path / "b" / "interactions.csv").write_text(cut)
    by_time, by_position = load("b", settings=Settings(data=(tmp_path,))), real("amazon14_beauty")
    assert by_time.notes["order"] == "time"
    assert np.array_equal(by_time.items, by_position.items)
    first = np.argsort(np.where(by_position.times == NO_TIME, 0, by_position.times), kind="stable")
    owner = np.repeat(np.arange(by_position.n_users), by_position.lengths)[first]
    moved = by_position.items[first[np.argsort(owner, kind="stable")]]
    last = by_position.offsets[1:] - 1
    assert int((moved[last] != by_position.items[last]).sum()) == 12  # what sorting them first would have done


def test_yelp_repeats_and_its_deduplicated_core(real):
    raw = describe(real("yelp_s3rec"))
    assert raw["repeated"]["rows"] == 11_830 and raw["repeated"]["test targets"] == pytest.approx(0.067, abs=0.0005)
    clean = real("yelp_s3rec?dedup&kcore=5")
    assert (clean.n_users, clean.n_items, clean.n_interactions) == (28_330, 18_775, 292_017)
    assert describe(clean)["repeated"] == {"rows": 0, "test targets": 0.0}
    assert np.bincount(clean.items)[1:].min() >= 5 and clean.lengths.min() >= 5


def test_the_raw_amazon_files_and_the_common_schema_say_the_same(real, real_data):
    common = real("amazon18_gift_cards_reviews")
    raw = load(str(real_data("amazon18_gift_cards_reviews") / "raw"), settings=Settings(data=()))

    def told(c):
        rows = {}
        for u, user in enumerate(c.user_ids.to_list()):
            for r in range(c.offsets[u], c.offsets[u + 1]):
                item = c.item(int(c.items[r]))
                key = (user, item.id, int(c.times[r]), float(c.ratings[r]), " ".join(c.reviews[r].split()))
                rows[key] = (item.title, item.brand, sorted(set(item.categories)))
        return rows

    assert told(raw) == told(common)


def test_mind_and_texts(real):
    mind = real("mind_small_sample")
    assert mind.n_users == 4_637 and mind.notes["duplicates dropped"] > 0
    plots = real("ml-1m")
    assert plots.item(plots.n_items).title and describe(plots)["text"]["description"] > 0.99


@pytest.mark.parametrize("name", ["amazon14_beauty", "ml-1m"])
def test_loading_and_digesting_are_cheap(real, name):
    """`make bench` measures this; here only bounds that a busy machine keeps (quiet: about 0.4 and 0.02 CPU s)."""
    spent = []
    for _ in range(2):
        before = time.process_time()
        corpus = real(name)
        spent.append(time.process_time() - before)
    before = time.process_time()
    assert len(corpus.digest) == 16
    assert min(spent) < 1.5 and time.process_time() - before < 0.3
