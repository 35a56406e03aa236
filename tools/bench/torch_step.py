#!/usr/bin/env python3
"""Images per second of a training step in PyTorch, for compare.sh.

  torch_step.py --mdistiller DIR --student NAME [--teacher NAME]
                [--precision f32|bf16] [--layout nchw|nhwc] [--compile]

The step is mdistiller's: the student in training mode, the teacher in
evaluation mode without gradients, 0.1 CE + 0.9 T^2 KL (CE alone without a
teacher), SGD with momentum 0.9 and weight decay 5e-4. bf16 is autocast with f32
parameters, as a PyTorch user would run it. Prints one line of JSON.
"""
import argparse
import json
import resource
import sys
import time

import torch
import torch.nn.functional as F


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--mdistiller", required=True)
    p.add_argument("--student", required=True)
    p.add_argument("--teacher")
    p.add_argument("--precision", default="f32")
    p.add_argument("--layout", default="nchw")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--steps", type=int, default=20)
    p.add_argument("--threads", type=int, default=2)
    a = p.parse_args()
    sys.path.insert(0, a.mdistiller)

    torch.set_num_threads(a.threads)
    form = torch.channels_last if a.layout == "nhwc" else torch.contiguous_format

    def network(name):
        from mdistiller.models import cifar_model_dict

        net = cifar_model_dict[name][0](num_classes=100)
        return net.to(memory_format=form)

    student = network(a.student).train()
    teacher = network(a.teacher).eval() if a.teacher else None
    if a.compile:
        student = torch.compile(student)
        teacher = torch.compile(teacher) if teacher else None
    sgd = torch.optim.SGD(
        student.parameters(), lr=1e-6, momentum=0.9, weight_decay=5e-4
    )
    x = torch.randn(a.batch, 3, 32, 32).to(memory_format=form)
    y = torch.arange(a.batch) % 100
    bf16 = a.precision == "bf16"

    def step():
        sgd.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            zs = student(x)[0]
            if teacher is not None:
                with torch.no_grad():
                    zt = teacher(x)[0]
        zs = zs.float()
        loss = F.cross_entropy(zs, y)
        if teacher is not None:
            kl = F.kl_div(
                F.log_softmax(zs / 4, 1),
                F.softmax(zt.float() / 4, 1),
                reduction="batchmean",
            )
            loss = 0.1 * loss + 0.9 * 16 * kl
        loss.backward()
        sgd.step()

    times = []
    for i in range(a.steps + 1 + a.steps // 3):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    times = sorted(times[-a.steps:])
    print(
        json.dumps(
            {
                "torch": torch.__version__,
                "images_per_second": a.batch / times[len(times) // 2],
                "peak_memory_bytes": 1024
                * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            }
        )
    )


if __name__ == "__main__":
    main()
