"""Own videos: labels from a CSV file, with errors that name the line."""

import csv

import h5py
import numpy as np
import pytest
from avel_live.model.errors import ModelFileError
from avel_live.model.training.data import IGNORE
from avel_live.model.training.folder import FolderData, default_split, read_classes, read_labels

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
        (
            GOOD + "tom.mp4,3,4,Dog,train\n",
            r"csv:6: tom\.mp4 has 'Dog' in second 3, but line 2 says 'Cat'",
        ),
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


def test_missing_columns_and_files(features, tmp_path):
    with pytest.raises(ModelFileError, match=r"csv:1: expected the columns file,start,end,label, 'end'"):
        read_labels(labels(features, "a,1,Cat\n", head="file,start,label\n"))
    with pytest.raises(ModelFileError, match="can't be read"):
        read_labels(tmp_path / "none.csv")
    (features / "index.csv").write_text("row,file,first_s,seconds\n1,a.mp4,0,10\n")
    with pytest.raises(ModelFileError, match=r"index\.csv:2: rows are out of order"):
        FolderData(features, labels(features, GOOD))
