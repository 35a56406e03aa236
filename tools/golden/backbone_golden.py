"""backbone_golden.py: what tests/model/backbone_check.h compares: sums of a
backbone's outputs and the gradients of their sum weighted by the directions
"out1", "out2", .. of weights_rule.py. Needs torch.
"""
import os

import torch

import weights_rule
from models import fill, text_of

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      "../../tests/golden/models")


def write(net, shape, name):
    """Runs net in training mode, in double precision, on the rule's weights."""
    net = net.double()
    net.train()
    fill(net)
    loss = 0
    result = {"outputs": {}, "loss": 0, "grads": {}}
    for i, y in enumerate(net(torch.from_numpy(weights_rule.images(shape))), 1):
        away = weights_rule.direction(f"out{i}", tuple(y.shape))
        loss = loss + (y * torch.from_numpy(away)).sum()
        result["outputs"][str(i)] = [list(y.shape), y.sum().item(),
                                     y.abs().sum().item()]
    loss.backward()
    result["loss"] = loss.item()
    for key, p in net.named_parameters():
        away = torch.from_numpy(weights_rule.direction(key, tuple(p.shape)))
        result["grads"][key] = [p.grad.norm().item(),
                                (p.grad * away).sum().item()]
    with open(os.path.join(FOLDER, name), "w", encoding="utf-8") as file:
        file.write(text_of(result))
