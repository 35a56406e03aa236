#!/usr/bin/env python3
"""Writes tests/golden/models/resnet_caffe.json: what torchvision's ResNet-50
computes with the stride of its bottlenecks on the first 1x1 convolution, where
mmdetection's style='caffe' has it, on the weights of weights_rule.py in
training mode: stages 2 to 4, and the gradients of their sum weighted by
directions "out1", "out2", "out3".

Needs torch and torchvision (made with Debian's 1.13 and 0.14).
"""
import torch
import torchvision

import backbone_golden


class Caffe(torchvision.models.ResNet):
    """ResNet-50 without its head; gives its last three stages."""

    def __init__(self):
        super().__init__(torchvision.models.resnet.Bottleneck, [3, 4, 6, 3])
        del self.fc
        for stage in (self.layer2, self.layer3, self.layer4):
            stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        outputs = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            outputs.append(x)
        return outputs[1:]


if __name__ == "__main__":
    torch.manual_seed(0)
    backbone_golden.write(Caffe(), (2, 3, 64, 96), "resnet_caffe.json")
