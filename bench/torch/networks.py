"""Trains the networks of `lockstep bench train` in PyTorch, on demand, so that
bench/torch can measure both in turns. It uses one thread.

It reads lines and answers each with one line:

    model NAME     prepare; answers "ok PARAMETERS"
    run SECONDS    step after step for at least so long; answers records a second
                   of the processor's time

A step is forward, backward and update, SGD with lr 0.01 and momentum 0.9 on
cross-entropy, random input, float32.
"""
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


def mlp():
    net = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    return net, torch.rand(128, 784) * 2 - 1, torch.randint(10, (128,))


def cnn():
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10))
    return net, torch.rand(64, 1, 28, 28) * 2 - 1, torch.randint(10, (64,))


class Residual(nn.Module):
    def __init__(self, before, width, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))
        self.short = nn.Identity()
        if stride > 1:
            self.short = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        return F.relu(self.body(x) + self.short(x), inplace=True)


def resnet20():
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
    before = 16
    for width in 16, 32, 64:
        for block in range(3):
            layers.append(Residual(before, width, 2 if width > 16 and block == 0 else 1))
            before = width
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    return net, torch.rand(64, 3, 32, 32) * 2 - 1, torch.randint(10, (64,))


class Recurrent(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.table = nn.Embedding(96, 64)
        self.layer = layer(64, 256, batch_first=True)
        self.out = nn.Linear(256, 96)

    def forward(self, x):
        return self.out(self.layer(self.table(x))[0])


def recurrent(layer):
    return Recurrent(layer), torch.randint(96, (32, 64)), torch.randint(96, (32, 64))


class Attention(nn.Module):
    def __init__(self, width, heads, length):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.register_buffer("later", torch.ones(length, length, dtype=torch.bool).triu(1), persistent=False)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (s.view(b, t, self.heads, -1).transpose(1, 2) for s in self.qkv(x).split(d, dim=2))
        scores = (q @ k.transpose(2, 3)) * (d // self.heads) ** -0.5
        y = scores.masked_fill(self.later, float("-inf")).softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(b, t, d))


class Block(nn.Module):
    def __init__(self, width, heads, length):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, length)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    def __init__(self, width=128, length=64, tokens=65):
        super().__init__()
        self.table = nn.Embedding(tokens, width)
        self.positions = nn.Parameter(torch.randn(length, width) * 0.02)
        self.blocks = nn.Sequential(*(Block(width, 4, length) for _ in range(4)), nn.LayerNorm(width))
        self.out = nn.Linear(width, tokens)

    def forward(self, x):
        return self.out(self.blocks(self.table(x) + self.positions))


def gpt():
    return GPT(), torch.randint(65, (16, 64)), torch.randint(65, (16, 64))


MODELS = {"mlp": mlp, "cnn": cnn, "resnet20": resnet20,
          "lstm": lambda: recurrent(nn.LSTM), "gru": lambda: recurrent(nn.GRU), "gpt": gpt}


def trainer(name):
    """Returns a function that does one step, its records, and the parameters."""
    net, x, target = MODELS[name]()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(net(x).flatten(0, -2), target.flatten()).backward()
        optimizer.step()

    for _ in range(3):
        step()
    return step, len(x), sum(p.numel() for p in net.parameters())


def run(step, records, seconds):
    steps, start, used = 0, time.perf_counter(), time.process_time()
    while True:
        step()
        steps += 1
        if time.perf_counter() - start >= seconds:
            return steps * records / (time.process_time() - used)


def main():
    torch.set_num_threads(1)
    torch.manual_seed(1)
    for line in sys.stdin:
        command, argument = line.split()
        if command == "model":
            step, records, parameters = trainer(argument)
            print("ok", parameters, flush=True)
        else:
            print(run(step, records, float(argument)), flush=True)


main()
