"""Label files in the shapes that programs write and data sets are published in."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from avel_live.model.errors import ModelFileError
from avel_live.model.training.data import IGNORE
from avel_live.model.training.folder import FolderData
from avel_live.model.training.labelfile import Labelled
from avel_live.model.training.readers import WHOLE, Reading, keyed, read_events, recording

EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="me" DATE="2024-01-01T00:00:00+01:00" FORMAT="3.0" VERSION="3.0">
 <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
  <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/films/my%20cat.mp4" MIME_TYPE="video/mp4" TIME_ORIGIN="1000"/>
 </HEADER>
 <TIME_ORDER>
  <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="2250"/>
  <TIME_SLOT TIME_SLOT_ID="ts3"/><TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="3000"/>
 </TIME_ORDER>
 <TIER TIER_ID="Cat" LINGUISTIC_TYPE_REF="t">
  <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
   <ANNOTATION_VALUE></ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts4">
   <ANNOTATION_VALUE>Purring</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
   <ANNOTATION_VALUE>x</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a4" ANNOTATION_REF="a1">
   <ANNOTATION_VALUE>a remark</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
 </TIER>
</ANNOTATION_DOCUMENT>"""

CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
 <meta><task><id>7</id><name>cats</name><size>100</size><mode>interpolation</mode>
  <labels><label><name>cat</name></label></labels><source>tom.mp4</source></task></meta>
 <track id="0" label="cat" source="manual">
  <box frame="10" keyframe="1" outside="0" occluded="0" xtl="1" ytl="1" xbr="5" ybr="5"/>
  <box frame="11" keyframe="0" outside="0" occluded="0" xtl="1" ytl="1" xbr="5" ybr="5"/>
  <box frame="20" keyframe="1" outside="1" occluded="0" xtl="1" ytl="1" xbr="5" ybr="5"/>
  <box frame="50" keyframe="1" outside="0" occluded="0" xtl="1" ytl="1" xbr="5" ybr="5"/>
  <box frame="74" keyframe="1" outside="0" occluded="0" xtl="1" ytl="1" xbr="5" ybr="5"/>
 </track>
 <track id="1" label="dog"><box frame="3" outside="1" keyframe="1" xtl="1" ytl="1" xbr="5" ybr="5"/></track>
 <image id="3" name="frame_3"><tag label="dog"/></image>
</annotations>"""

STUDIO = [
    {
        "id": 1,
        "annotations": [
            {"id": 4, "was_cancelled": True, "result": [{"type": "labels", "value": {"start": 0, "end": 9}}]},
            {
                "id": 5,
                "was_cancelled": False,
                "result": [
                    {
                        "type": "labels",
                        "from_name": "label",
                        "to_name": "audio",
                        "original_length": 10.0,
                        "value": {"start": 0.5, "end": 2.5, "channel": 0, "labels": ["Cat", "Purring"]},
                    },
                    {"type": "textarea", "value": {"text": ["lovely"]}},
                    {
                        "type": "timelinelabels",
                        "value": {"ranges": [{"start": 1, "end": 25}], "timelinelabels": ["Dog"]},
                    },
                    {
                        "type": "videorectangle",
                        "value": {
                            "framesCount": 250,
                            "duration": 10.0,
                            "labels": ["Bird"],
                            "sequence": [
                                {"frame": 26, "time": 1.0, "enabled": True, "x": 1, "y": 1},
                                {"frame": 51, "time": 2.0, "enabled": False, "x": 1, "y": 1},
                                {"frame": 201, "time": 8.0, "enabled": True, "x": 1, "y": 1},
                            ],
                        },
                    },
                ],
            },
        ],
        "predictions": [],
        "file_upload": "1a2b3c4d-tom.mp4",
        "data": {"audio": "/data/upload/3/1a2b3c4d-tom.mp4"},
    },
    {"id": 2, "annotations": [], "predictions": [{"result": []}], "data": {"audio": "s3://b/x.wav"}},
    {
        "id": 3,
        "annotations": [{"result": [{"type": "choices", "value": {"choices": ["Rain"]}}]}],
        "data": {"video": "/data/local-files/?d=films/rainy%20day.mp4"},
    },
]

DATABASE = {
    "version": "1.0",
    "database": {
        "0A2B3C4D5E6": {
            "duration": 42.5,
            "subset": "train",
            "annotations": [
                {"segment": [1.5, 3.0], "label": "dog barking", "label_id": 12},
                {"segment": [2.0, 42.5], "label": "people talking", "label_id": 3},
            ],
        },
        "validated_1": {
            "duration": 9.0,
            "subset": "validation",
            "annotations": [{"segment": [4, 4], "label": "x"}],
        },
        "quiet_video": {"duration": 5.0, "subset": "test", "annotations": []},
    },
}


def read(folder: Path, name: str, text: str, fps: float | None = None) -> Reading:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_events(path, fps)


def rows(reading: Reading) -> list[tuple[str, float, float, str | None]]:
    return [(e.file, e.start, e.end, e.label) for e in reading.events]


def test_an_audacity_track_is_of_the_recording_it_is_called_after(tmp_path: Path) -> None:
    text = (
        "0.500000\t2.250000\tCat\n\\\t100.0\t2000.0\n3.000000\t3.000000\tpoint\n4.0\t5.5\t\n6.0\t7.0\tDog\n"
    )
    found = read(tmp_path, "tom.txt", text)
    assert rows(found) == [("tom", 0.5, 2.25, "Cat"), ("tom", 6.0, 7.0, "Dog")]
    assert found.notes == [
        "tom.txt: 1 left out (a point in time, no stretch; the first: 3)",
        "tom.txt: 1 left out (no label; the first: 4)",
    ]
    assert rows(read(tmp_path, "tom.mp4.labels.txt", "0.5\t1\tcat 9\n"))[0] == ("tom.mp4", 0.5, 1.0, "cat 9")


def test_an_elan_document_has_a_class_in_its_values_or_else_its_tiers(tmp_path: Path) -> None:
    found = read(tmp_path, "a.eaf", EAF)
    # TIME_ORIGIN: the document begins one second into the film.
    assert rows(found) == [("my cat.mp4", 1.5, 3.25, "Cat"), ("my cat.mp4", 3.25, 4.0, "Purring")]
    assert found.notes == [
        "a.eaf: 1 left out (not aligned in time; the first: 3)",
        "a.eaf: 1 left out (belongs to another annotation, has no time of its own; the first: 4)",
    ]


def test_unav_100_and_activitynet(tmp_path: Path) -> None:
    found = read(tmp_path, "unav100.json", json.dumps(DATABASE))
    assert rows(found) == [
        ("0A2B3C4D5E6", 1.5, 3.0, "dog barking"),
        ("0A2B3C4D5E6", 2.0, 42.5, "people talking"),
        ("quiet_video", 0.0, 0.0, None),
    ]
    assert [e.split for e in found.events] == ["train", "train", "test"]
    assert found.notes == ["unav100.json: 1 left out (a point in time, no stretch; the first: 3)"]


def test_label_studio_gives_what_somebody_confirmed(tmp_path: Path) -> None:
    found = read(tmp_path, "export.json", json.dumps(STUDIO), fps=25.0)
    assert rows(found) == [
        ("tom.mp4", 0.5, 2.5, "Cat"),
        ("tom.mp4", 0.5, 2.5, "Purring"),
        ("tom.mp4", 0.0, 1.0, "Dog"),
        ("tom.mp4", 1.0, 2.0, "Bird"),
        ("tom.mp4", 8.0, 10.0, "Bird"),
        ("rainy day.mp4", 0.0, WHOLE, "Rain"),
    ]
    assert found.events[0].also == ("1a2b3c4d-tom.mp4",)
    assert found.notes == [
        "export.json: 1 left out (textarea: nothing in time; the first: 1)",
        "export.json: 1 left out (nobody confirmed it; the first: 2)",
    ]
    with pytest.raises(ModelFileError, match="counts frames; say with --fps"):
        read_events(tmp_path / "export.json")
    small = [{"audio": "/data/upload/1/x.wav", "id": 1, "label": [{"start": 1, "end": 2, "labels": ["Cat"]}]}]
    assert rows(read(tmp_path, "min.json", json.dumps(small))) == [("x.wav", 1.0, 2.0, "Cat")]


def test_cvat_tracks_last_while_they_are_in_the_picture(tmp_path: Path) -> None:
    found = read(tmp_path, "annotations.xml", CVAT, fps=25.0)
    assert rows(found) == [("tom.mp4", 0.4, 0.8, "cat"), ("tom.mp4", 2.0, 3.0, "cat")]
    assert [note.split("(")[1].split(";")[0] for note in found.notes] == [
        "a track that is never in the picture",
        "labels of a single picture",
    ]
    with pytest.raises(ModelFileError, match="counts frames"):
        read_events(tmp_path / "annotations.xml")


def test_llp_lists(tmp_path: Path) -> None:
    text = "filename\tonset\toffset\tevent_labels\n" + "KSRjje7GH44_60_70\t8\t10\tBlender\n"
    found = read(tmp_path, "AVVP_eval_audio.csv", text + "KSRjje7GH44_60_70\t9\t9\tSpeech\n")
    assert rows(found) == [("KSRjje7GH44_60_70", 8.0, 10.0, "Blender")]
    assert found.events[0].also == ("KSRjje7GH44",)
    assert "1 left out (a point in time" in found.notes[0]
    weak = read(tmp_path, "AVVP_train.csv", "filename\tevent_labels\nBjCEufrlXm4_20_30\tSpeech,Dog\n")
    assert [row[1:] for row in rows(weak)] == [(0.0, WHOLE, "Speech"), (0.0, WHOLE, "Dog")]
    assert "hold for the whole clip" in weak.notes[0]


def test_audioset_strong_lists(tmp_path: Path) -> None:
    head = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel"
    line = "YxlGt805lTA_30000\t2.627\t7.237\t/m/053hz1"
    found = read(tmp_path, "audioset_eval_strong.tsv", f"{head}\n{line}\n")
    assert rows(found) == [("YxlGt805lTA_30000", 2.627, 7.237, "/m/053hz1")]
    assert "mid_to_display_name.tsv" in found.notes[0]
    (tmp_path / "mid_to_display_name.tsv").write_text("/m/053hz1\tCheering\n")
    framed = f"{head}\tpresent\n{line}\tPRESENT\n{line}\tNOT_PRESENT\n"
    again = read(tmp_path, "framed_posneg.tsv", framed)
    assert rows(again)[0][3] == "Cheering"
    assert again.notes == ["framed_posneg.tsv: 1 left out (said not to be there; the first: 3)"]


def test_vggsound_and_ave_lists(tmp_path: Path) -> None:
    text = '---g-f_I2yQ,1,people marching,test\n--0PQM4-hqg,30,"waterfall, burbling",train\n'
    found = read(tmp_path, "vggsound.csv", text)
    assert rows(found) == [
        ("---g-f_I2yQ_000001", 0.0, WHOLE, "people marching"),
        ("--0PQM4-hqg_000030", 0.0, WHOLE, "waterfall, burbling"),
    ]
    assert [e.split for e in found.events] == ["test", "train"]
    ave = read(tmp_path, "Annotations.txt", "Church bell&RUhOCu3LNXM&good&0&9\nBark&x&good&0&0\n")
    assert rows(ave) == [("RUhOCu3LNXM", 0.0, 9.0, "Church bell"), ("x", 0.0, 0.0, None)]


@pytest.mark.parametrize(
    "text",
    [
        "a.wav\t1.5\t2.5\tspeech\nb.wav\t0\t1\tcar\n",
        "a.wav;1.5;2.5;speech\nb.wav;0;1;car\n",
        "a.wav,street,1.5,2.5,speech\nb.wav,street,0,1,car\n",
        "filename\tonset\toffset\tevent_label\na.wav\t1.5\t2.5\tspeech\nb.wav\t0\t1\tcar\n",
        "event_label,filename,scene_label,onset,offset\nspeech,a.wav,street,1.5,2.5\ncar,b.wav,street,0,1\n",
    ],
)
def test_dcase_lists(tmp_path: Path, text: str) -> None:
    assert rows(read(tmp_path, "meta.txt", text)) == [
        ("a.wav", 1.5, 2.5, "speech"),
        ("b.wav", 0.0, 1.0, "car"),
    ]


def test_desed_files_without_events_are_background(tmp_path: Path) -> None:
    text = "filename\tonset\toffset\tevent_label\na.wav\t\t\t\nb.wav\t1\t2\tDog\n"
    assert rows(read(tmp_path, "m.tsv", text)) == [("a.wav", 0.0, 0.0, None), ("b.wav", 1.0, 2.0, "Dog")]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.json", '{"database": {', "no whole JSON document"),
        ("a.json", '{"images": []}', "JSON without `database` and no list of tasks; read are CSV"),
        ("a.json", "[]", "nothing of this Label Studio export can be used: it has no entries"),
        ("a.xml", "<annotations><track", "no whole XML document"),
        ("a.xml", "<svg/>", "an XML file of <svg>; read are CSV"),
        ("a.eaf", EAF.replace("<ANN", '<!DOCTYPE x [<!ENTITY a "b">]>\n<ANN', 1), "declares entities"),
        ("a.eaf", EAF.replace('"milliseconds"', '"PAL-frames"'), "times in PAL-frames"),
        ("a.txt", "1.0\t1.0\tpoint\n", "nothing of this label track can be used: a.txt: 1 left out"),
        ("a.txt", "hello\n", "expected the columns file,start,end,label"),
    ],
)
def test_what_is_none_of_them_is_refused_in_one_line(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(ModelFileError, match=says.replace("(", r"\(")) as caught:
        read(tmp_path, name, text)
    assert "\n" not in str(caught.value)


def test_a_recording_is_found_by_what_a_list_calls_it() -> None:
    def found(name: str, also: tuple[str, ...], *there: str, loose: bool = True) -> str | None:
        return recording(Labelled(1, name, 0, 1, "x", None, also, loose), keyed(there))

    assert found("a/tom.mp4", (), "a/tom.mp4", "b/tom.mp4") == "a/tom.mp4"
    assert found("ID", (), "films/ID.mp4", "films/ID2.mp4") == "films/ID.mp4"
    assert found("elsewhere/tom.mp4", (), "mine/tom.mp4") == "mine/tom.mp4"
    assert found("ID_000030", ("ID_30",), "ID_30.wav") == "ID_30.wav"
    assert found("tom", (), "a/tom.mp4", "b/tom.mp4") is None, "two might be meant"
    assert found("elsewhere/tom.mp4", (), "mine/tom.mp4", loose=False) is None


@pytest.fixture
def features(tmp_path: Path) -> Path:
    """Features of three videos of ten seconds."""
    names = ("v/0A2B3C4D5E6.mp4", "v/validated_1.mp4", "v/quiet_video.mp4")
    lines = [f"{k},{name},0,10\n" for k, name in enumerate(names)]
    (tmp_path / "index.csv").write_text("row,file,first_s,seconds\n" + "".join(lines))
    for name, shape in (("visual", (3, 10, 2, 2, 6)), ("audio", (3, 10, 5))):
        with h5py.File(tmp_path / f"{name}_feature.h5", "w") as file:
            file["avadataset"] = np.zeros(shape, np.float32)
    return tmp_path


def test_features_get_the_labels_of_a_published_list(features: Path) -> None:
    base = json.loads(json.dumps(DATABASE))
    base["database"]["validated_1"]["annotations"] = [{"segment": [4, 6.5], "label": "dog barking"}]
    base["database"]["not_here"] = {"subset": "train", "annotations": [{"segment": [0, 1], "label": "cat"}]}
    (features / "unav.json").write_text(json.dumps(base))
    data = FolderData(features, features / "unav.json", ("dog barking", "people talking", "cat"))
    assert data.target[0].tolist() == [3, 0] + [1] * 8  # second 2: all of it is both; the later one is taken
    assert data.target[1].tolist() == [3] * 4 + [0] * 2 + [0] + [3] * 3  # 6–6.5 is half of a second
    assert data.target[2].tolist() == [3] * 10
    assert {k: v.tolist() for k, v in data.splits.items()} == {"train": [0], "val": [1], "test": [2]}
    assert "unav.json: 1 recordings have no features and are left out: not_here …" in data.notes()
    (features / "unav.json").write_text(json.dumps({"database": {"not_here": base["database"]["not_here"]}}))
    with pytest.raises(ModelFileError, match=r"none of its 1 recordings \(not_here …\) has features here"):
        FolderData(features, features / "unav.json")


def test_tracks_of_a_folder_label_the_recordings_they_lie_beside(features: Path, tmp_path: Path) -> None:
    tracks = tmp_path / "tracks"
    (tracks / "v").mkdir(parents=True)
    for k, name in enumerate(("0A2B3C4D5E6", "validated_1.mp4.labels")):
        (tracks / "v" / f"{name}.txt").write_text(f"{k}\t{k + 3}\tCat\n")
    (tracks / "v" / "validated_1.eaf").write_text(EAF)
    reading = read_events(tracks)
    assert rows(reading) == [("v/0A2B3C4D5E6", 0.0, 3.0, "Cat"), ("v/validated_1.mp4", 1.0, 4.0, "Cat")]
    assert reading.notes == ["tracks: 2 .txt tracks are read, 1 .eaf files beside them are not"]


def test_a_list_of_two_parts_gets_its_validation_from_the_training_part(tmp_path: Path) -> None:
    count = 30
    lines = [f"{k},abcdefghi{k:02d}_{k}_{k + 10}.mp4,0,10\n" for k in range(count)]
    (tmp_path / "index.csv").write_text("row,file,first_s,seconds\n" + "".join(lines))
    for name, shape in (("visual", (count, 10, 1, 1, 1)), ("audio", (count, 10, 1))):
        with h5py.File(tmp_path / f"{name}_feature.h5", "w") as file:
            file["avadataset"] = np.zeros(shape, np.float32)
    text = "".join(f"abcdefghi{k:02d},{k},rain,{'test' if k % 3 else 'train'}\n" for k in range(count))
    (tmp_path / "vgg.csv").write_text(text)
    data = FolderData(tmp_path, tmp_path / "vgg.csv")
    sizes = {name: len(chosen) for name, chosen in data.splits.items()}
    assert sizes["test"] == 20
    assert 0 < sizes["val"] < sizes["train"]
    assert sizes["val"] + sizes["train"] == 10
    assert (data.target != IGNORE).all()
    assert (data.target == 0).all()
