"""VGG-19: parameter count, both weight layouts through an independent forward pass, refusals."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from avel_live.model.backbones.vgg19 import BLOCKS, KERAS_LAYERS, VGG19, load_vgg19
from avel_live.model.errors import ModelFileError

PARAMETERS = 20_024_384


def random_keras_weights(rng: np.random.Generator) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Kernels [3, 3, in, out] and biases, scaled so that activations stay of order one."""
    weights, width = {}, 3
    for block, (channels, count) in enumerate(BLOCKS, 1):
        for conv in range(1, count + 1):
            kernel = rng.normal(0, np.sqrt(2 / (9 * width)), (3, 3, width, channels)).astype(np.float32)
            bias = rng.normal(0, 0.1, channels).astype(np.float32)
            weights[f"block{block}_conv{conv}"] = (kernel, bias)
            width = channels
    return weights


def numpy_vgg19(pixels: np.ndarray, weights: dict[str, tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """[H, W, 3] normalised pixels → [H/32, W/32, 512], written from Keras' definition, channels last."""
    x = pixels.astype(np.float64)
    for block, (_, count) in enumerate(BLOCKS, 1):
        for conv in range(1, count + 1):
            kernel, bias = weights[f"block{block}_conv{conv}"]
            height, width = x.shape[:2]
            padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
            y = np.zeros((height, width, kernel.shape[3]))
            for i in range(3):
                for j in range(3):
                    y += padded[i : i + height, j : j + width] @ kernel[i, j]
            x = np.maximum(y + bias, 0)
        x = np.maximum.reduce([x[i::2, j::2] for i in (0, 1) for j in (0, 1)])
    return x


def write_keras(path: Path, weights: dict[str, tuple[np.ndarray, np.ndarray]], style: str) -> None:
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if style == "full" else file
        for layer, (kernel, bias) in weights.items():
            group = root.create_group(layer)
            if style == "keras1":
                block, conv = layer.split("_")
                group[f"{block}_{conv}_W_1:0"], group[f"{block}_{conv}_b_1:0"] = kernel, bias
            else:
                group[f"{layer}/kernel:0"], group[f"{layer}/bias:0"] = kernel, bias
            root.create_group(layer.split("_")[0] + "_pool") if layer.endswith("conv1") else None


def test_parameters_to_block5_pool():
    with torch.device("meta"):
        assert sum(p.numel() for p in VGG19().parameters()) == PARAMETERS


@pytest.fixture(scope="module")
def weights():
    return random_keras_weights(np.random.default_rng(0))


@pytest.fixture(scope="module")
def frame():
    return np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)


@pytest.mark.parametrize("style", ["keras1", "keras2", "full"])
def test_keras_weights_give_what_an_independent_forward_pass_gives(tmp_path, weights, frame, style):
    write_keras(tmp_path / "vgg.h5", weights, style)
    with torch.inference_mode():
        got = load_vgg19(tmp_path / "vgg.h5")(torch.from_numpy(frame[None]))[0].numpy()
    bgr = frame[..., ::-1] - np.array([103.939, 116.779, 123.68])
    want = numpy_vgg19(bgr, weights)
    assert got.shape == (2, 2, 512)
    assert np.abs(got - want).max() < 1e-4 * np.abs(want).max()


def test_torchvision_weights_with_their_own_normalisation(tmp_path, weights, frame):
    state, index = {}, 0
    for block, (_, count) in enumerate(BLOCKS, 1):
        for conv in range(1, count + 1):
            kernel, bias = weights[f"block{block}_conv{conv}"]
            state[f"features.{index}.weight"] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
            state[f"features.{index}.bias"] = torch.from_numpy(bias)
            index += 2
        index += 1
    state["classifier.0.weight"] = torch.zeros(2, 2)  # the published file has a top
    torch.save(state, tmp_path / "vgg.pth")
    with pytest.warns(UserWarning, match="not interchangeable"):
        network = load_vgg19(tmp_path / "vgg.pth", "torchvision")
    with torch.inference_mode():
        got = network(torch.from_numpy(frame[None]))[0].numpy()
    pixels = (frame / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    want = numpy_vgg19(pixels, weights)
    assert np.abs(got - want).max() < 1e-4 * np.abs(want).max()
    with pytest.raises(ModelFileError, match="paper-torchvision"):
        load_vgg19(tmp_path / "vgg.pth")


def test_grid_of_a_real_frame_size():
    with torch.inference_mode():
        grid = VGG19().eval()(torch.zeros(1, 224, 224, 3, dtype=torch.uint8))
    assert grid.shape == (1, 7, 7, 512)


def test_refusals_name_the_file_and_the_layer(tmp_path, weights):
    with pytest.raises(ModelFileError, match="no such file"):
        load_vgg19(tmp_path / "none.h5")
    (tmp_path / "empty.h5").touch()
    with pytest.raises(ModelFileError, match="empty"):
        load_vgg19(tmp_path / "empty.h5")

    partial = {k: v for k, v in weights.items() if k != "block3_conv4"}
    write_keras(tmp_path / "partial.h5", partial, "keras2")
    with pytest.raises(ModelFileError, match="block3_conv4"):
        load_vgg19(tmp_path / "partial.h5")

    wrong = dict(weights, block1_conv2=(np.zeros((3, 3, 64, 32), np.float32), np.zeros(32, np.float32)))
    write_keras(tmp_path / "wrong.h5", wrong, "keras2")
    with pytest.raises(ModelFileError, match=r"block1_conv2.*expected \(64, 64, 3, 3\), got \(32, 64"):
        load_vgg19(tmp_path / "wrong.h5")

    whole = (tmp_path / "wrong.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelFileError, match=r"cut\.h5: damaged or cut short"):
        load_vgg19(tmp_path / "cut.h5")


def test_layer_names_are_those_of_keras():
    assert len(KERAS_LAYERS) == 16
    assert KERAS_LAYERS[0] == "block1_conv1"
    assert KERAS_LAYERS[-1] == "block5_conv4"
