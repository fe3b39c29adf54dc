"""AVE's files: annotations, splits, features in every shape people have them, and damage."""

import json
import subprocess
import sys

import h5py
import numpy as np
import pytest
from avel_live.model.errors import ModelFileError
from avel_live.model.labels import BACKGROUND
from avel_live.model.training.annotations import (
    Annotation,
    generate,
    read_annotations,
    read_splits,
    shared_videos,
    targets,
    write_annotations,
)
from avel_live.model.training.ave import AveData, write_features
from avel_live.model.training.data import batches
from avel_live.model.training.metrics import video_oracle
from support.shared import DATA, needs_data

LINES = ["Bark&abc&good&2&5", "Church bell&def&good&0&0", "Truck&ghi&good&0&10", "Bark&jkl&good&9&10"]


def annotations(tmp_path, lines=LINES):
    path = tmp_path / "Annotations.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def folder(tmp_path):
    """Four videos with features of AVE's layout."""
    annotations(tmp_path)
    rng = np.random.default_rng(0)
    visual = rng.random((4, 10, 2, 2, 6)).astype(np.float32)
    audio = rng.random((4, 10, 5)).astype(np.float32)
    splits = {"train": np.array([3, 0]), "val": np.array([1]), "test": np.array([2])}
    write_features(tmp_path, visual, audio, splits)
    return tmp_path, visual, audio


@pytest.mark.parametrize("header", [[], ["Category&VideoID&Quality&StartTime&EndTime"]])
def test_rows_and_labels_with_and_without_a_header(tmp_path, header):
    rows = read_annotations(annotations(tmp_path, header + LINES))
    assert rows[0] == Annotation(2, "abc", 2, 5)
    y = targets(rows)
    b = BACKGROUND
    assert y[0].tolist() == [b, b, 2, 2, 2, b, b, b, b, b]
    assert (y[1] == b).all()
    assert (y[2] == 11).all()
    assert y[3].tolist() == [b] * 9 + [2]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Bark&x&good&2", r"Annotations\.txt:5: expected Category&VideoID&quality&start&end, got 4 fields"),
        ("Bork&x&good&2&3", r"Annotations\.txt:5: unknown class 'Bork'.*bark"),
        ("Bark&x&good&two&3", r"Annotations\.txt:5: start and end must be whole seconds"),
        ("Bark&x&good&5&3", r"Annotations\.txt:5: expected 0 ≤ start ≤ end ≤ 10, got 5 and 3"),
        ("Bark&x&good&5&11", r"Annotations\.txt:5: expected 0 ≤ start"),
    ],
)
def test_a_wrong_line_is_named_by_its_number(tmp_path, line, message):
    with pytest.raises(ModelFileError, match=message):
        read_annotations(annotations(tmp_path, [*LINES, line]))


def test_written_annotations_come_back(tmp_path):
    rows, splits = generate(50)
    write_annotations(tmp_path / "a.txt", rows)
    assert read_annotations(tmp_path / "a.txt") == rows
    assert sorted(np.concatenate(list(splits.values()))) == list(range(50))


def test_splits_by_id_lists(tmp_path):
    rows = read_annotations(annotations(tmp_path, [*LINES, "Truck&abc&good&0&3"]))
    (tmp_path / "trainSet.txt").write_text("Category&VideoID&Quality&StartTime&EndTime\nBark&abc&good&2&5\n")
    (tmp_path / "valSet.txt").write_text("def\njkl\n")
    (tmp_path / "testSet.txt").write_text("Truck&abc&good&0&3\nghi\n")
    splits = read_splits(tmp_path, rows)
    assert {k: v.tolist() for k, v in splits.items()} == {"train": [0], "val": [1, 3], "test": [4, 2]}
    assert shared_videos(rows, splits) == {("train", "val"): 0, ("train", "test"): 1, ("val", "test"): 0}
    (tmp_path / "testSet.txt").write_text("ghi\nnobody\n")
    with pytest.raises(ModelFileError, match=r"testSet\.txt:2: 'nobody' is not in"):
        read_splits(tmp_path, rows)
    (tmp_path / "testSet.txt").write_text("def\n")
    with pytest.raises(ModelFileError, match="both in val and in test"):
        read_splits(tmp_path, rows)


def test_features_come_back_by_row(folder):
    path, visual, audio = folder
    data = AveData(path)
    v, a = data.features(np.array([2, 0]))
    assert np.array_equal(v, visual[[2, 0]])
    assert np.array_equal(a, audio[[2, 0]])
    assert (data.visual_dim, data.audio_dim, data.grid) == (6, 5, 2)
    assert data.profile == "paper"
    assert data.splits["train"].tolist() == [3, 0]
    got = list(batches(data, np.array([0, 1, 2]), 2))
    assert [len(b.target) for b in got] == [2, 1]
    assert np.array_equal(got[1].visual, visual[2:3])
    assert data.video_target.tolist() == [2, 0, 11, 2]
    data.close()


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("key", ["avadataset", "dataset"])
@pytest.mark.parametrize("chunks", [None, True])
def test_keys_types_and_layouts_that_people_have(folder, key, dtype, chunks):
    path, _, audio = folder
    with h5py.File(path / "audio_feature.h5", "w") as file:
        file.create_dataset(
            key, data=audio.astype(dtype), chunks=chunks, compression="gzip" if chunks else None
        )
    _, got = AveData(path).features(np.array([1]))
    assert got.dtype == np.float32
    assert np.allclose(got[0], audio[1], atol=1e-3)


def test_the_note_of_the_extraction_says_which_features_these_are(folder):
    path = folder[0]
    (path / "features.json").write_text(json.dumps({"profile": "lite"}))
    assert AveData(path).profile == "lite"
    (path / "features.json").write_text("{")
    with pytest.raises(ModelFileError, match=r"features\.json: damaged"):
        AveData(path)


def test_masks_are_read_where_there_are_any(folder):
    path = folder[0]
    seen = np.ones((4, 10), bool)
    seen[0, 3:] = False
    with h5py.File(path / "masks.h5", "w") as file:
        file["visual"], file["audio"] = seen, np.ones((4, 10), bool)
    data = AveData(path)
    assert np.array_equal(data.visual_mask, seen)
    assert data.audio_mask.all()


def test_noisy_videos_join_training_as_background(folder):
    path = folder[0]
    for name, shape in (("visual", (3, 10, 2, 2, 6)), ("audio", (3, 10, 5))):
        with h5py.File(path / f"{name}_feature_noisy.h5", "w") as file:
            file["avadataset"] = np.full(shape, 7.0)
    data = AveData(path, noisy=True)
    assert data.splits["train"].tolist() == [3, 0, 4, 5, 6]
    visual, audio = data.features(np.array([5, 1, 6]))
    assert (visual[[0, 2]] == 7).all()
    assert (audio[1] < 1).all()
    assert (data.target[4:] == BACKGROUND).all()
    assert (data.video_target[4:] == BACKGROUND).all()


def test_a_truncated_file_is_named(folder):
    path = folder[0] / "visual_feature.h5"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ModelFileError, match=r"visual_feature\.h5: damaged or cut short"):
        AveData(folder[0])


def test_what_does_not_belong_together_is_refused(folder):
    path, _, audio = folder
    with h5py.File(path / "audio_feature.h5", "w") as file:
        file["avadataset"] = audio[:3]
    with pytest.raises(ModelFileError, match=r"audio_feature\.h5: 3 rows, but 4 annotations"):
        AveData(path)
    with h5py.File(path / "audio_feature.h5", "w") as file:
        file["avadataset"] = audio[:, :9]
    with pytest.raises(ModelFileError, match="expected 10 segments a video, got 9"):
        AveData(path)
    with h5py.File(path / "audio_feature.h5", "w") as file:
        file["stuff"] = audio
    with pytest.raises(ModelFileError, match="expected a data set avadataset or dataset, got stuff"):
        AveData(path)
    with h5py.File(path / "audio_feature.h5", "w") as file:
        file["avadataset"] = np.zeros((4, 10), np.int64)
    with pytest.raises(ModelFileError, match="expected a float array of 3 axes, got int64"):
        AveData(path)
    (path / "audio_feature.h5").unlink()
    with pytest.raises(ModelFileError, match=r"no such file.*avel extract"):
        AveData(path)


def test_notes_say_where_published_labels_disagree(folder):
    path = folder[0]
    labels = np.eye(29)[AveData(path).target]
    labels[2, 4, 3] = 1  # two labels in one second
    labels[3, 9] = np.eye(29)[5]
    with h5py.File(path / "labels.h5", "w") as file:
        file["avadataset"] = labels
    notes = " | ".join(AveData(path).notes())
    assert "rows [2] carry other than one label" in notes
    assert "labels.h5: 1 rows disagree with Annotations.txt, e.g. 3" in notes


HUNGRY = """
import sys
from pathlib import Path
import numpy as np
from avel_live.model.training.ave import AveData
from avel_live.model.training.data import batches
from avel_live.realtime.commands.bench.meters import peak_memory_mb
data = AveData(Path(sys.argv[1]))
before = peak_memory_mb()
total = sum(float(b.visual.sum()) for b in batches(data, np.arange(600), 32))
print(before, peak_memory_mb(), total)
"""


def test_memory_does_not_grow_with_the_file(tmp_path):
    """600 rows of AVE's real row size, 2.4 GB as one float64 array (a sparse file on disk)."""
    write_annotations(tmp_path / "Annotations.txt", generate(600)[0])
    splits = {"train": np.arange(400), "val": np.arange(400, 500), "test": np.arange(500, 600)}
    write_features(
        tmp_path, np.zeros((1, 10, 7, 7, 512), np.float32), np.zeros((600, 10, 128), np.float32), splits
    )
    with h5py.File(tmp_path / "visual_feature.h5", "w") as file:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        space = h5py.h5s.create_simple((600, 10, 7, 7, 512))
        h5py.h5d.create(file.id, b"avadataset", h5py.h5t.IEEE_F64LE, space, plan)
    done = subprocess.run(
        [sys.executable, "-c", HUNGRY, str(tmp_path)], capture_output=True, text=True, check=True
    )
    before_mb, peak_mb, total = map(float, done.stdout.split())
    assert total == 0
    assert 20 < before_mb < peak_mb < before_mb + 250


@needs_data
class TestRealFiles:
    folder = DATA / "ave"

    def test_the_published_annotations_and_splits(self):
        rows = read_annotations(self.folder / "Annotations.txt")
        splits = read_splits(self.folder, rows)
        assert len(rows) == 4143
        assert len({r.video for r in rows}) == 4097
        assert {k: len(v) for k, v in splits.items()} == {"train": 3339, "val": 402, "test": 402}
        assert (targets(rows)[26] == BACKGROUND).all()
        assert shared_videos(rows, splits) == {
            ("train", "val"): 10,
            ("train", "test"): 8,
            ("val", "test"): 0,
        }

    def test_a_perfect_video_classifier_scores_82_2(self):
        rows = read_annotations(self.folder / "Annotations.txt")
        test = targets(rows)[read_splits(self.folder, rows)["test"]]
        assert 100 * (test == BACKGROUND).mean() == pytest.approx(17.8, abs=0.05)
        assert 100 * video_oracle(test, BACKGROUND) == pytest.approx(82.2, abs=0.05)

    def test_video_labels_agree_with_the_published_ones(self):
        rows = read_annotations(self.folder / "Annotations.txt")
        with h5py.File(self.folder / "mil_labels.h5") as file:
            published = file["avadataset"][()]
        assert (published.argmax(1) == [r.label for r in rows]).all()

    def test_the_real_noisy_audio_features_are_raw_vggish(self):
        """Non-negative, mostly zero: what our VGGish gives too (a final ReLU, no PCA)."""
        with h5py.File(self.folder / "audio_feature_noisy.h5") as file:
            features = file["avadataset"][()]
        assert features.shape == (178, 10, 128)
        assert features.min() == 0
        assert 0.5 < (features == 0).mean() < 0.8
