"""near_ties.py: how near does a training step come to a decision by rounding?

A ReLU whose input rounding carries over zero, or a max pooling whose two
largest inputs change places, moves gradients by far more than rounding itself:
by a percent in a network of this size. Whether that happens differs from
processor to processor. So the inputs of the gradient checks are chosen such
that single precision decides everything as double precision does.
"""
import torch
from torch.nn import functional

import weights_rule


class Record:
    """Keeps the inputs of every ReLU and max pooling of a network's calls."""

    def __enter__(self):
        self.kept = []
        self.saved = functional.relu, functional.max_pool2d
        relu, max_pool2d = self.saved

        def kept_relu(x, inplace=False):
            self.kept.append((x.detach().clone(), None))
            return relu(x)

        def kept_pool(x, kernel, stride=None, padding=0, *rest, **more):
            self.kept.append(
                (x.detach().clone(), (kernel, stride or kernel, padding)))
            return max_pool2d(x, kernel, stride, padding, *rest, **more)

        functional.relu, functional.max_pool2d = kept_relu, kept_pool
        return self.kept

    def __exit__(self, *_):
        functional.relu, functional.max_pool2d = self.saved


def inputs_of(net, images):
    net.train()
    with torch.no_grad(), Record() as kept:
        net(images)
    return kept


def least_of(x, window, error):
    """The least distance to a tie, in units of `error`, [1, C, 1, 1]."""
    if window is None:
        # A zero is another ReLU's: no gradient goes on from there.
        return float((x.abs() / error)[x != 0].min())
    n, c, h, w = x.shape
    kernel, stride, padding = window
    top = functional.unfold(x.reshape(n * c, 1, h, w), kernel, padding=padding,
                            stride=stride).topk(2, dim=1).values
    each = error.expand(n, c, 1, 1).reshape(n * c, 1).expand_as(top[:, 0])
    live = top[:, 0] > 0
    return float(((top[:, 0] - top[:, 1]) / each)[live].min())


def margin(make_filled, images):
    """The least distance of a decision to its tie, in standard deviations of
    single precision's error in the decision's channel (PyTorch's)."""
    exact = inputs_of(make_filled().double(), images)
    single = inputs_of(make_filled().float(), images.float())
    least = float("inf")
    for (x, window), (rounded, _) in zip(exact, single):
        error = (rounded.double() - x).pow(2).mean((0, 2, 3), True).sqrt()
        least = min(least, least_of(x, window, error + 1e-30))
    return least


def choose(make_filled, shape, wanted=3.0, most=64):
    """(number of the first image set with that margin, its margin), else of the
    one with the largest of all tried."""
    best = (0, 0.0)
    for number in range(most):
        images = torch.from_numpy(weights_rule.images(shape, number))
        here = margin(make_filled, images)
        if here > best[1]:
            best = (number, here)
        if here >= wanted:
            break
    return best
