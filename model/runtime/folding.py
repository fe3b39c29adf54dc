"""Batch normalisation folded into the convolution before it: the same answers, fewer passes over memory."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


class _Tracer(torch.fx.Tracer):
    """Keeps convolutions whole, our own kinds of them too."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.Conv2d) or super().is_leaf_module(m, module_qualified_name)


def fold_batchnorm(network: nn.Module) -> nn.Module:
    """A copy of an eval-mode network with every Conv2d → BatchNorm2d pair folded into the convolution.

    A pair is folded where the convolution's output goes nowhere else. A network that can't be traced
    comes back unchanged: folding is a matter of speed only.
    """
    try:
        whole = copy.deepcopy(network)
        graph = torch.fx.GraphModule(whole, _Tracer().trace(whole))
    except Exception:  # tracing fails in as many ways as there is Python
        return network
    modules = dict(graph.named_modules())
    for node in list(graph.graph.nodes):
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        before = node.args[0]
        conv = modules.get(str(before.target)) if before.op == "call_module" else None
        if not isinstance(conv, nn.Conv2d) or len(before.users) > 1:
            continue
        assert norm.running_mean is not None
        assert norm.running_var is not None
        weight, bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        conv.weight, conv.bias = weight, bias
        node.replace_all_uses_with(before)
        graph.graph.erase_node(node)
    graph.delete_all_unused_submodules()
    graph.recompile()
    return graph.eval()
