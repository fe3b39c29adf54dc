"""Own videos: labels from a CSV file, with errors that name the line."""

import csv
import unicodedata

import h5py
import numpy as np
import pytest
from avel_live.model.errors import ModelFileError
from avel_live.model.training.data import IGNORE
from avel_live.model.training.folder import FolderData, default_split, read_classes
from avel_live.model.training.labelfile import read_labels

HEAD = "file,start,end,label,split\n"


@pytest.fixture
def features(tmp_path):
    """tom.mp4 of 13 s (two rows), rex.mp4 of 10 s, street.mp4 of 4 s, and a broken one."""
    rows = [
        ("tom.mp4", 0, 10),
        ("tom.mp4", 10, 3),
        ("rex.mp4", 0, 10),
        ("street.mp4", 0, 4),
        ("bad.mp4", 0, 0),
    ]
    with (tmp_path / "index.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("row", "file", "first_s", "seconds"))
        writer.writerows((i, *row) for i, row in enumerate(rows))
    for name, shape in (("visual", (5, 10, 2, 2, 6)), ("audio", (5, 10, 5))):
        with h5py.File(tmp_path / f"{name}_feature.h5", "w") as file:
            file["avadataset"] = np.random.default_rng(0).random(shape, np.float32)
    return tmp_path


def labels(folder, text, head=HEAD):
    path = folder / "labels.csv"
    path.write_text(head + text)
    return path


GOOD = """tom.mp4,2,5.5,Cat,train
tom.mp4,8.4,11.6,Cat,train
rex.mp4,0,10,Dog,val
street.mp4,,,background,test
"""


def test_seconds_get_the_event_that_covers_half_of_them(features):
    data = FolderData(features, labels(features, GOOD))
    assert data.labels == ("Cat", "Dog", "background")
    # 2–5.5: second 5 is covered by exactly half; 8.4–11.6: second 8 by 0.6, second 11 by 0.6.
    assert data.target[0].tolist() == [2, 2, 0, 0, 0, 0, 2, 2, 0, 0]
    assert data.target[1].tolist() == [0, 0, 2] + [IGNORE] * 7
    assert data.target[2].tolist() == [1] * 10
    assert data.target[3].tolist() == [2] * 4 + [IGNORE] * 6
    assert {k: v.tolist() for k, v in data.splits.items()} == {"train": [0, 1], "val": [2], "test": [3]}
    assert data.visual_mask.sum(1).tolist() == [10, 3, 10, 4, 0]
    assert data.video_target.tolist() == [0, 0, 1, 2, 2]
    visual, audio = data.features(np.array([2]))
    assert visual.shape == (1, 10, 2, 2, 6)
    assert audio.shape == (1, 10, 5)
    assert "bad.mp4" in " ".join(data.notes())
    assert data.places(np.array([1, 2])) == [("tom.mp4", 10), ("rex.mp4", 0)]


def test_a_class_list_fixes_the_order(features):
    (features / "classes.txt").write_text("Bird\nDog\n\nCat\nbackground\n")
    data = FolderData(features, labels(features, GOOD), read_classes(features / "classes.txt"))
    assert data.labels == ("Bird", "Dog", "Cat", "background")
    assert data.target[2, 0] == 1
    (features / "classes.txt").write_text("Bird\nDog\nBird\n")
    with pytest.raises(ModelFileError, match=r"classes\.txt:3: 'Bird' occurs twice"):
        read_classes(features / "classes.txt")


def test_names_without_a_split_column_are_shared_out_by_their_hash():
    names = [f"video{i}.mp4" for i in range(2000)]
    shares = {s: sum(default_split(n) == s for n in names) / 2000 for s in ("train", "val", "test")}
    assert shares["train"] == pytest.approx(0.70, abs=0.04)
    assert shares["val"] == pytest.approx(0.15, abs=0.03)
    assert default_split("video7.mp4") == default_split("video7.mp4")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tom.mp4,2,x,Cat,train\n", r"labels\.csv:2: start and end must be seconds, got '2' and 'x'"),
        ("tom.mp4,5,5,Cat,train\n", r"labels\.csv:2: expected 0 ≤ start < end, got 5 and 5"),
        ("tom.mp4,-1,5,Cat,train\n", r"labels\.csv:2: expected 0 ≤ start < end"),
        ("tom.mp4,0,5,,train\n", r"labels\.csv:2: no label; write background"),
        (",0,5,Cat,train\n", r"labels\.csv:2: no file"),
        (
            "tom.mp4,0,5,Cat,training\n",
            r"labels\.csv:2: split must be one of train, val, test, got",
        ),
        ("tom.mp4,0,5,Cat,train,extra\n", r"labels\.csv:2: more fields than columns"),
        (GOOD + "tim.mp4,0,5,Cat,train\n", r"labels\.csv:6: tim\.mp4 has no features"),
        (GOOD + "rex.mp4,12,14,Dog,val\n", r"labels\.csv:6: starts at 12 s, but rex\.mp4 is only 10 s long"),
        (GOOD + "rex.mp4,2,3,Dog,test\n", r"labels\.csv:6: rex\.mp4 is put into more than one split"),
        ("tom.mp4,0,5,Cat,train\n", "no video falls into val"),
        ("tom.mp4,,,background,train\n", "every line is background"),
        ("", "no lines"),
    ],
)
def test_mistakes_are_named_by_their_line(features, text, message):
    with pytest.raises(ModelFileError, match=message):
        FolderData(features, labels(features, text))


def made(features, text, **kwargs):
    """Seconds of tom.mp4's first row as class names, and everything that was said."""
    data = FolderData(features, labels(features, text + "rex.mp4,0,10,Dog,val\n", **kwargs))
    names = [data.labels[k] for k in data.target[0]]
    notes = "\n".join(data.notes())
    data.close()
    return names, notes


BG = "background"


def test_short_events_of_one_class_add_up(features):
    names, notes = made(
        features, "tom.mp4,2.0,2.3,Cat,train\ntom.mp4,2.35,2.5,Cat,train\ntom.mp4,2.8,2.95,Cat,train\n"
    )
    assert names == [BG] * 2 + ["Cat"] + [BG] * 7
    assert "no second" not in notes


def test_the_same_line_twice_counts_once(features):
    names, notes = made(features, "tom.mp4,2.0,2.3,Cat,train\n" * 3)
    assert names == [BG] * 10
    assert notes.count("covers half of no second") == 3


def test_what_reaches_no_second_is_listed(features):
    names, notes = made(features, "tom.mp4,2.6,3.4,Cat,train\ntom.mp4,7,9,Cat,train\n")
    assert names == [BG] * 7 + ["Cat"] * 2 + [BG]
    assert "line 2: Cat in tom.mp4, 2.6–3.4 s, covers half of no second" in notes
    assert "line 3" not in notes


@pytest.mark.parametrize(
    ("lines", "seconds", "winner"),
    [
        ("0,2.5,Cat;2.5,5,Dog", {2: "Dog"}, "Dog"),  # they meet: equal halves
        ("0,10,Cat;3,5,Dog", {2: "Cat", 3: "Dog", 4: "Dog", 5: "Cat"}, "Dog"),
        ("3,5,Dog;0,10,Cat", {3: "Dog"}, "Dog"),  # the order of lines does not matter
        ("0,4,Cat;3.4,6,Dog", {3: "Cat", 4: "Dog"}, "Cat"),
        ("0,10,Cat;3,5,background", {2: "Cat", 3: BG, 4: BG, 5: "Cat"}, BG),
    ],
)
def test_of_two_classes_the_one_that_covers_more_has_the_second_and_it_is_said(
    features, lines, seconds, winner
):
    names, notes = made(features, "".join(f"tom.mp4,{line},train\n" for line in lines.split(";")))
    assert {t: names[t] for t in seconds} == seconds
    assert f"taken for {winner}" in notes


def test_a_label_in_a_remainder_too_short_to_be_a_second_is_listed(features):
    _, notes = made(features, "tom.mp4,2,4,Cat,train\ntom.mp4,13.0,13.4,Cat,train\n")
    assert "line 3: Cat in tom.mp4, 13–13.4 s, covers half of no second" in notes
    _, notes = made(features, "tom.mp4,12.2,12.9,Cat,train\n")
    assert "no second" not in notes
    _, notes = made(features, "tom.mp4,2,60,Cat,train\n")
    assert "line 2: tom.mp4 ends at 13 s, before 60 s" in notes


def test_one_class_is_spelled_in_one_way(features):
    names, notes = made(
        features,
        "tom.mp4,0,2,cat,train\ntom.mp4,3,5,Cat,train\ntom.mp4,6,8,Cat ,train\ntom.mp4,8,9,CAT,train\n",
    )
    assert set(names) == {"Cat", BG}
    assert "one class, 'Cat'" in notes
    (features / "classes.txt").write_text("CAT\nDog\n")
    path = labels(features, GOOD)
    assert FolderData(features, path, read_classes(features / "classes.txt")).labels == ("CAT", "Dog", BG)
    _, notes = made(features, "tom.mp4,0,2,none,train\n")
    assert "'none' is learned as a class" in notes


@pytest.mark.parametrize(
    "spelling", ["./tom.mp4", "sub/../tom.mp4", "TOM.MP4", "tom", "/data/tom.mp4", "tom.mkv"]
)
def test_file_names_are_found_or_the_right_one_is_named(features, spelling):
    text = f"{spelling},2,4,Cat,train\n"
    if spelling == "./tom.mp4":
        assert made(features, text)[0][2:4] == ["Cat", "Cat"]
    else:
        with pytest.raises(ModelFileError, match=r"has no features; did you mean tom\.mp4\?"):
            made(features, text)


def test_accents_and_slashes_of_other_systems(features):
    index = (features / "index.csv").read_text().replace("tom.mp4", "süß/café.mp4")
    (features / "index.csv").write_text(index, encoding="utf-8")
    for name in ("süß/café.mp4", unicodedata.normalize("NFD", "süß/café.mp4"), "süß\\café.mp4"):
        assert made(features, f"{name},2,4,Cat,train\n")[0][2:4] == ["Cat", "Cat"]


ROWS = "tom.mp4,2.5,65.25,Cat,train\nrex.mp4,0,10,Dog,val\n"
SEMI = ROWS.replace(",", ";")


@pytest.mark.parametrize(
    "raw",
    [
        (HEAD + ROWS).encode(),
        (HEAD + ROWS).replace("\n", "\r\n").encode("utf-8-sig"),
        (HEAD + ROWS).replace("\n", "\r").encode(),
        (HEAD + ROWS).encode("utf-16"),
        (HEAD + ROWS).replace(",", "\t").encode("utf-16-le"),
        (HEAD + ROWS).replace(",", "\t").encode(),
        (HEAD.replace(",", ";") + SEMI).encode(),
        (HEAD + ROWS.replace("\n", "\n\n")).encode(),
        ("sep=;\n" + HEAD.replace(",", ";") + SEMI.replace("2.5", "2,5").replace("65.25", "65,25")).encode(),
        (HEAD.replace(",", ";") + SEMI.replace("2.5", "2,5").replace("65.25", "1:05,25")).encode(),
        (HEAD + ROWS.replace("2.5", '"2,5"').replace("65.25", "1:05.25")).encode(),
        (HEAD + ROWS.replace("2.5", "0:02.5").replace("65.25", "00:01:05.250")).encode(),
        ("# mine\n\n" + HEAD.upper() + "# and this\n" + ROWS).encode(),
        ("File , START,End,Label,Split\n" + ROWS.replace("train", "Train")).encode(),
        ('"file","start","end","label","split"\n' + ROWS).encode(),
        ("id,file,start,end,label,split\n" + "".join(f"7,{r}\n" for r in ROWS.split())).encode(),
    ],
)
def test_tables_as_programs_write_them(tmp_path, raw):
    (tmp_path / "labels.csv").write_bytes(raw)
    found = read_labels(tmp_path / "labels.csv")
    assert [(e.file, e.start, e.end, e.label, e.split) for e in found] == [
        ("tom.mp4", 2.5, 65.25, "Cat", "train"),
        ("rex.mp4", 0.0, 10.0, "Dog", "val"),
    ]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ((HEAD.replace(",", ";") + "a.mp4;1,234;2;Cat;train\n").encode(), "1,234 may be 1.234 or 1234"),
        ((HEAD + "a.mp4,2,5,4,Cat,train\n").encode(), "more fields than columns; quote a decimal comma"),
        ((HEAD + "a.mp4,1:75,2:00,Cat,train\n").encode(), "must be seconds, got '1:75'"),
        ((HEAD + "a.mp4,00:00:01:12,4,Cat,train\n").encode(), "must be seconds"),
        ((HEAD + "süß.mp4,1,2,Cat,train\n").encode("latin-1"), "neither UTF-8 nor UTF-16, save it as UTF-8"),
        ((HEAD + "a.mp4,1_0,20,Cat,train\n").encode(), "must be seconds"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_with_the_way_to_go_on(tmp_path, raw, message):
    (tmp_path / "labels.csv").write_bytes(raw)
    with pytest.raises(ModelFileError, match=message):
        read_labels(tmp_path / "labels.csv")


def test_missing_columns_and_files(features, tmp_path):
    with pytest.raises(ModelFileError, match=r"csv:1: expected the columns file,start,end,label, 'end'"):
        read_labels(labels(features, "a,1,Cat\n", head="file,start,label\n"))
    with pytest.raises(ModelFileError, match="can't be read"):
        read_labels(tmp_path / "none.csv")
    (features / "index.csv").write_text("row,file,first_s,seconds\n1,a.mp4,0,10\n")
    with pytest.raises(ModelFileError, match=r"index\.csv:2: rows are out of order"):
        FolderData(features, labels(features, GOOD))
