"""VGGish: parameter count, TF-Slim and torchvggish layouts through an independent forward pass."""

import numpy as np
import pytest
import torch
from avel_live.model.backbones.vggish import TF_SCOPES, VGGish, load_vggish
from avel_live.model.errors import ModelFileError
from avel_live.model.formats.arrays import read_npz

PARAMETERS = 72_141_184
SLIM_SHAPES = {
    "vggish/conv1": (3, 3, 1, 64),
    "vggish/conv2": (3, 3, 64, 128),
    "vggish/conv3/conv3_1": (3, 3, 128, 256),
    "vggish/conv3/conv3_2": (3, 3, 256, 256),
    "vggish/conv4/conv4_1": (3, 3, 256, 512),
    "vggish/conv4/conv4_2": (3, 3, 512, 512),
    "vggish/fc1/fc1_1": (12288, 4096),
    "vggish/fc1/fc1_2": (4096, 4096),
    "vggish/fc2": (4096, 128),
}


@pytest.fixture(scope="module")
def slim():
    rng = np.random.default_rng(0)
    weights = {}
    for scope, shape in SLIM_SHAPES.items():
        fan_in = np.prod(shape[:-1])
        weights[f"{scope}/weights"] = rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / fan_in))
        weights[f"{scope}/biases"] = rng.standard_normal(shape[-1], np.float32) * np.float32(0.1)
    return weights


@pytest.fixture(scope="module")
def patches():
    return np.random.default_rng(1).normal(-2, 2, (2, 96, 64)).astype(np.float32)


@pytest.fixture(scope="module")
def wanted(slim, patches):
    """The published definition in NumPy, channels last throughout, as TensorFlow computes it."""
    x = patches[..., None].astype(np.float64)
    for block in (
        ("conv1",),
        ("conv2",),
        ("conv3/conv3_1", "conv3/conv3_2"),
        ("conv4/conv4_1", "conv4/conv4_2"),
    ):
        for layer in block:
            kernel, bias = slim[f"vggish/{layer}/weights"], slim[f"vggish/{layer}/biases"]
            height, width = x.shape[1:3]
            padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            y = sum(
                padded[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3)
            )
            x = np.maximum(y + bias, 0)
        x = np.maximum.reduce([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)])
    x = x.reshape(len(x), -1)
    for layer in ("fc1/fc1_1", "fc1/fc1_2", "fc2"):
        x = np.maximum(x @ slim[f"vggish/{layer}/weights"] + slim[f"vggish/{layer}/biases"], 0)
    return x


def _check(network, patches, wanted):
    with torch.inference_mode():
        got = network(torch.from_numpy(patches)).numpy()
    assert got.shape == (2, 128)
    assert (got >= 0).all()
    assert np.abs(got - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_parameters():
    with torch.device("meta"):
        assert sum(p.numel() for p in VGGish().parameters()) == PARAMETERS


def test_tf_slim_npz(tmp_path, slim, patches, wanted):
    np.savez(tmp_path / "vggish.npz", **slim)
    _check(load_vggish(tmp_path / "vggish.npz"), patches, wanted)


@pytest.mark.parametrize("spelling", ["vggish/fc2/biases:0", "vggish.fc2.biases", "vggish|fc2|biases"])
def test_spellings_of_tensorflow_names(tmp_path, spelling):
    np.savez(tmp_path / "one.npz", **{spelling: np.ones(3)})
    assert list(read_npz(tmp_path / "one.npz")) == ["vggish/fc2/biases"]


def test_torchvggish_pth(tmp_path, slim, patches, wanted):
    state = {}
    for name, scope in TF_SCOPES.items():
        kernel = slim[f"{scope}/weights"]
        turned = kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
        state[f"{name}.weight"] = torch.from_numpy(np.ascontiguousarray(turned))
        state[f"{name}.bias"] = torch.from_numpy(slim[f"{scope}/biases"])
    torch.save(state, tmp_path / "vggish.pth")
    network = load_vggish(tmp_path / "vggish.pth")
    _check(network, patches, wanted)

    # Flattened the torch way (channel, height, width) the answer is another one: the order matters.
    with torch.inference_mode():
        grid = network.features(torch.from_numpy(patches)[:, None])
        wrong = torch.relu(network.embeddings(grid.flatten(1))).numpy()
    assert np.abs(wrong - wanted).max() > 0.1 * np.abs(wanted).max()

    whole = (tmp_path / "vggish.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(ModelFileError, match=r"cut\.pth"):
        load_vggish(tmp_path / "cut.pth")


def test_wrong_shapes_are_named(tmp_path, slim):
    wrong = {name: value for name, value in slim.items() if "fc" not in name}
    np.savez(tmp_path / "partial.npz", **wrong)
    with pytest.raises(ModelFileError, match=r"vggish/fc1/fc1_1/weights"):
        load_vggish(tmp_path / "partial.npz")
    wrong["vggish/conv2/weights"] = np.zeros((3, 3, 64, 32), np.float32)
    np.savez(tmp_path / "wrong.npz", **wrong)
    with pytest.raises(
        ModelFileError, match=r"conv2 weight: expected \(128, 64, 3, 3\), got \(32, 64, 3, 3\)"
    ):
        load_vggish(tmp_path / "wrong.npz")
