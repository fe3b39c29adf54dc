"""What is passed to torch_tensorrt, held against the real signatures of four releases."""

import inspect
import json
from pathlib import Path

import pytest
from avel_live.model.errors import BackendError
from avel_live.model.runtime.trt_api import (
    checked,
    compile_options,
    load_torch_tensorrt,
    parameter_names,
)

SIGNATURES = Path(__file__).parents[1] / "data" / "torch_tensorrt"
VERSIONS = ("2.8.0", "2.12.1", "2.13.0", "2.14.0")


def _function(version: str, name: str):
    """A function with the recorded signature, `**kwargs` and all."""
    recorded = json.loads((SIGNATURES / f"{version}.json").read_text())[name]
    kinds = inspect.Parameter
    parameters = [kinds(n, kinds.POSITIONAL_OR_KEYWORD) for n in recorded["positional"]]
    parameters += [kinds(n, kinds.KEYWORD_ONLY) for n in recorded["keyword_only"]]
    if recorded["var_keyword"]:
        parameters.append(kinds(recorded["var_keyword"], kinds.VAR_KEYWORD))

    def function(*args, **kwargs):
        return None

    function.__signature__ = inspect.Signature(parameters)
    return function


@pytest.mark.parametrize("version", VERSIONS)
def test_every_option_is_known_to_the_version(version):
    known = parameter_names(_function(version, "dynamo.compile"))
    options = compile_options(known, version)
    assert set(options) <= known
    assert options["require_full_compilation"] is True
    assert compile_options(known, version, dryrun=True)["dryrun"] is True


@pytest.mark.parametrize("version", VERSIONS)
def test_precision_is_asked_for_in_the_words_of_the_version(version):
    """Explicit typing is an option up to 2.12 and the only way from 2.13 on."""
    known = parameter_names(_function(version, "dynamo.compile"))
    minor = int(version.split(".")[1])
    assert ("use_explicit_typing" in compile_options(known, version)) == (minor <= 12)
    assert ("enabled_precisions" in known) == (minor <= 12)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_top_level_compile_would_swallow_names(version):
    """The reason for calling `dynamo.compile`: the front door names almost nothing of what it takes."""
    front = _function(version, "compile")
    assert "require_full_compilation" not in parameter_names(front)
    inspect.signature(front).bind_partial(module=None, bogus_option=1)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_unknown_name_is_refused(version):
    known = parameter_names(_function(version, "dynamo.compile"))
    with pytest.raises(BackendError, match=f"{version} does not know bogus_option"):
        checked({"min_block_size": 1, "bogus_option": 1}, known, version)


@pytest.mark.parametrize("version", VERSIONS)
def test_saving_and_loading_by_the_names_we_use(version):
    save, load = _function(version, "save"), _function(version, "load")
    inspect.signature(save).bind_partial(object(), "file.ep", arg_inputs=[])
    assert "arg_inputs" in parameter_names(save)
    inspect.signature(load).bind_partial("file.ep")


def test_a_version_without_what_we_need_is_refused():
    with pytest.raises(BackendError, match="does not know"):
        compile_options({"min_block_size", "dryrun"}, "1.4.0")


def test_without_torch_tensorrt_the_error_says_what_to_install():
    pytest.importorskip("torch")
    try:
        import torch_tensorrt  # noqa: F401
    except Exception as error:
        reason = type(error).__name__
    else:
        pytest.skip("torch_tensorrt works here")
    with pytest.raises(BackendError, match=r"pip install|CUDA|can't be imported") as caught:
        load_torch_tensorrt()
    assert reason
    assert "\n" not in str(caught.value)
