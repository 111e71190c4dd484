#!/usr/bin/python3
"""Writes golden/*.json: networks trained by PyTorch from reproducible weights
and batches. golden_test.go trains the same networks and compares.

Run: /usr/bin/python3 testdata/golden.py [--check] [name ...]   (Debian: python3-torch)
With --check nothing is written, but compared with what is there.

Every number comes from noise(seed, i), a hash that the test repeats, so the
files hold results only.
"""
import json
import os
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)
DIR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")


def noise(seed, n):
    """n numbers in [-1, 1)."""
    with np.errstate(over="ignore"):
        x = np.arange(n, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32((seed * 0x85EBCA77) & 0xFFFFFFFF)
        for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
            x ^= x >> np.uint32(shift)
            x *= np.uint32(factor)
        x ^= x >> np.uint32(15)
    return (x >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)


def fill(parameters):
    """Gives parameter j noise(1000+j): matrices within 1/sqrt(inputs), vectors
    within 0.1, about 1 if they are scales."""
    for j, (name, p) in enumerate(parameters):
        v = noise(1000 + j, p.numel())
        if p.dim() > 1:
            v = v * np.float32(1 / np.sqrt(p[0].numel()))
        else:
            v = v * np.float32(0.1) + np.float32(1 if name.endswith("weight") else 0)
        with torch.no_grad():
            p.copy_(torch.from_numpy(v.astype(np.float32)).reshape(p.shape))


def size(shape):
    return int(np.prod(shape)) if len(shape) else 1


def batch(case, step):
    """The input and target of a step. An image of class c is noise about the
    fixed pattern noise(500+c)."""
    rows, shape, target = case["batch"], case["input"], case["target"]
    if case["chain"]:
        return chain(case, step)
    n, m = size(shape), size(target["shape"])
    if case["tokens"]:
        x = (noise(2 * step, rows * n) * 0.5 + 0.5) * case["tokens"]
        x = torch.from_numpy(x.astype(np.int64)).clamp(0, case["tokens"] - 1).reshape(rows, *shape)
    else:
        x = torch.from_numpy(noise(2 * step, rows * n)).to(torch.get_default_dtype()).reshape(rows, *shape).clone()
    y = noise(2 * step + 1, rows * m)
    if target["kind"] == "class":
        c = ((y * np.float32(0.5) + np.float32(0.5)) * np.float32(target["classes"])).astype(np.int64)
        y = torch.from_numpy(c).reshape(rows, *target["shape"])
        if not case["tokens"] and not target["shape"]:
            for r in range(rows):
                x[r] = 0.5 * x[r] + torch.from_numpy(noise(500 + int(c[r]), n)).reshape(shape)
    elif target["kind"] == "value":
        y = torch.from_numpy(y).reshape(rows, *target["shape"])
        if target.get("simplex"):
            y = (y + 1) / (y + 1).sum(1, keepdim=True)
    else:
        y = x
    return x, y


def chain(case, step):
    """Tokens, each of which follows from the one before and a coin; the target
    is the next one."""
    rows, steps, tokens = case["batch"], case["input"][0], case["tokens"]
    coins = noise(2 * step, rows * (steps + 1)).reshape(rows, steps + 1)
    x = np.zeros((rows, steps + 1), dtype=np.int64)
    x[:, 0] = ((coins[:, 0] * np.float32(0.5) + np.float32(0.5)) * np.float32(tokens)).astype(np.int64)
    for t in range(steps):
        x[:, t + 1] = (3 * x[:, t] + 1 + (coins[:, t + 1] > 0)) % tokens
    x = torch.from_numpy(x)
    return x[:, :-1], x[:, 1:]


def flat(t):
    return [float("%.7g" % v) for v in t.detach().reshape(-1).tolist()]


def train(case, net, loss, optimizer, schedule=None, parameters=None, update=None, after=None):
    """Trains and adds to the case: losses, the first gradients (unless only the
    curve is wanted) and the last parameters."""
    named = list(net.named_parameters()) if parameters is None else parameters
    fill(named)
    opt = optimizer([p for _, p in named])
    sched = schedule(opt) if schedule else None
    case["losses"], case["gradients"], case["parameters"] = [], [], []
    for step in range(case["steps"]):
        x, y = batch(case, step)
        opt.zero_grad()
        value = loss(net(x), y)
        value.backward()
        case["losses"].append(float("%.8g" % value.item()))
        if step == 0 and not case["curve"]:
            case["gradients"] = [flat(p.grad) for _, p in named]
        if update:
            update(net)
        opt.step()
        if after:
            after(net)
        if sched and (step + 1) % case.get("epoch", 1) == 0:
            sched.step()
    if not case["curve"]:
        case["parameters"] = [flat(p) for _, p in named]
        case["buffers"] = [flat(b) for name, b in net.named_buffers() if "running" in name]
    return case


CASES = {}


def case(name, model, shape, target, loss, optimizer, batch=6, steps=10, tokens=0, curve=False, schedule=None, lanes=2, chain=False, epoch=1):
    """Registers a case; the decorated function returns what train needs."""
    c = {"name": name, "model": model, "input": list(shape), "tokens": tokens, "target": target, "loss": loss,
         "optimizer": optimizer, "schedule": schedule or ["constant", {}], "batch": batch, "steps": steps, "curve": curve, "lanes": lanes, "chain": chain}
    if epoch > 1:
        c["epoch"] = epoch

    def register(f):
        CASES[name] = (c, f)
        return f
    return register


def classes(n, *shape):
    return {"kind": "class", "classes": n, "shape": list(shape)}


def values(*shape):
    return {"kind": "value", "classes": 0, "shape": list(shape)}


CE, MSE = ["cross_entropy", {}], ["mse", {}]
SGD = ["sgd", {"lr": 0.1, "momentum": 0.9}]


def sgd(lr=0.1, **kw):
    return lambda ps: torch.optim.SGD(ps, lr=lr, **{"momentum": 0.9, **kw})


def dense(units, **kw):
    return ["dense", {"units": units, **kw}]


# Layers

@case("conv", [["conv2d", {"filters": 4, "kernel": [3, 2], "stride": [2, 1], "padding": 1, "groups": 2}], ["tanh", {}],
               ["conv2d", {"filters": 3, "kernel": 3, "dilation": 2, "padding": 2, "bias": False}], ["relu", {}],
               ["max_pool", {"size": 2, "stride": 1}], ["avg_pool", {"size": 2, "padding": 1}], ["flatten", {}], dense(5)],
      (4, 9, 8), classes(5), CE, SGD)
def conv():
    net = nn.Sequential(nn.Conv2d(4, 4, (3, 2), (2, 1), 1, groups=2), nn.Tanh(), nn.Conv2d(4, 3, 3, 1, 2, 2, bias=False), nn.ReLU(),
                        nn.MaxPool2d(2, 1), nn.AvgPool2d(2, 2, 1), nn.Flatten(), nn.Linear(3 * 3 * 5, 5))
    return net, F.cross_entropy, sgd()


ACTIVATIONS = {"relu": nn.ReLU(), "sigmoid": nn.Sigmoid(), "tanh": nn.Tanh(), "leaky_relu": nn.LeakyReLU(), "elu": nn.ELU(),
               "gelu": nn.GELU(), "silu": nn.SiLU(), "softplus": nn.Softplus(), "softmax": nn.Softmax(-1)}
for act, module in ACTIVATIONS.items():
    @case(act, [dense(7), [act, {}], dense(3)], (5,), values(3), MSE, SGD)
    def activation(module=module):
        return nn.Sequential(nn.Linear(5, 7), module, nn.Linear(7, 3)), F.mse_loss, sgd()


for act, field, value, module in ("leaky_relu", "slope", 0.2, nn.LeakyReLU(0.2)), ("elu", "alpha", 0.7, nn.ELU(0.7)):
    @case(act + "_" + field, [dense(7), [act, {field: value}], dense(3)], (5,), values(3), MSE, SGD)
    def sloping(module=module):
        return nn.Sequential(nn.Linear(5, 7), module, nn.Linear(7, 3)), F.mse_loss, sgd()


@case("clip", [dense(7), ["clip", {"min": -0.25, "max": 0.5}], dense(3)], (5,), values(3), MSE, SGD)
def clip():
    return nn.Sequential(nn.Linear(5, 7), nn.Hardtanh(-0.25, 0.5), nn.Linear(7, 3)), F.mse_loss, sgd()


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(2, 4, 3, 1, 1), nn.Conv2d(4, 4, 3, 1, 1), nn.Conv2d(4, 2, 1)
        self.d = nn.Linear(6, 5)

    def forward(self, x):
        a = torch.relu(self.a(x))
        return self.d(torch.cat([a + self.b(a), self.c(a)], 1).mean((2, 3)))


@case("residual", [["conv2d", {"filters": 4, "padding": 1}], ["relu", {"name": "a"}], ["conv2d", {"filters": 4, "padding": 1, "name": "b"}],
                   ["add", {"from": ["a", "b"], "name": "s"}], ["conv2d", {"filters": 2, "kernel": 1, "from": ["a"], "name": "c"}],
                   ["concat", {"from": ["s", "c"]}], ["global_avg_pool", {}], dense(5)], (2, 6, 5), classes(5), CE, SGD)
def residual():
    return Residual(), F.cross_entropy, sgd()


class ZeroShortcut(nn.Module):
    """The shortcut without parameters: every second pixel, then channels of zeros."""
    def __init__(self):
        super().__init__()
        self.stem, self.body, self.head = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 8, 3, stride=2, padding=1), nn.Linear(8, 5)

    def forward(self, x):
        x = F.relu(self.stem(x))
        y = F.relu(self.body(x) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2)))
        return self.head(y.mean((2, 3)))


@case("pad", [["conv2d", {"filters": 4, "padding": 1}], ["relu", {"name": "a"}], ["conv2d", {"filters": 8, "stride": 2, "padding": 1, "name": "b"}],
              ["max_pool", {"size": 1, "stride": 2, "from": ["a"]}], ["pad", {"before": 2, "after": 2, "name": "c"}],
              ["add", {"from": ["b", "c"]}], ["relu", {}], ["global_avg_pool", {}], dense(5)], (2, 7, 5), classes(5), CE, SGD)
def pad():
    return ZeroShortcut(), F.cross_entropy, sgd()


@case("positions", [dense(6), ["relu", {}], dense(4)], (3, 5), classes(4, 3), CE, SGD)
def positions():
    loss = lambda x, y: F.cross_entropy(x.reshape(-1, 4), y.reshape(-1))
    return nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4)), loss, sgd()


class Sequence(nn.Sequential):
    """Takes the outputs of recurrent layers and attention from their tuples."""
    def forward(self, x):
        for m in self:
            x = m(x, x, x, need_weights=False, attn_mask=self.mask) if isinstance(m, nn.MultiheadAttention) else m(x)
            x = x[0] if isinstance(x, tuple) else x
        return x
    mask = None


class Last(nn.Module):
    """The output of a recurrent layer at the end of each direction."""
    def __init__(self, directions=1):
        super().__init__()
        self.directions = directions

    def forward(self, x):
        if self.directions == 1:
            return x[:, -1]
        half = x.shape[2] // 2
        return torch.cat([x[:, -1, :half], x[:, 0, half:]], 1)


class Lambda(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, x):
        return self.f(x)


# Batch-norm normalises a lane, so these have one lane.

@case("batch_norm", [["conv2d", {"filters": 4, "bias": False}], ["batch_norm", {}], ["relu", {}], ["conv2d", {"filters": 3}],
                     ["batch_norm", {"momentum": 0.3, "epsilon": 1e-3}], ["flatten", {}], dense(6), ["batch_norm", {}], ["tanh", {}], dense(5)],
      (2, 7, 6), classes(5), CE, SGD, lanes=1)
def batch_norm():
    return nn.Sequential(nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 3), nn.BatchNorm2d(3, 1e-3, 0.3),
                         nn.Flatten(), nn.Linear(18, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 5)), F.cross_entropy, sgd()


@case("layer_norm", [dense(6), ["layer_norm", {}], ["tanh", {}], ["flatten", {}], dense(4), ["layer_norm", {"epsilon": 1e-2}]],
      (3, 5), values(4), MSE, SGD)
def layer_norm():
    return nn.Sequential(nn.Linear(5, 6), nn.LayerNorm(6), nn.Tanh(), nn.Flatten(), nn.Linear(18, 4), nn.LayerNorm(4, 1e-2)), F.mse_loss, sgd()


@case("group_norm", [["conv2d", {"filters": 6}], ["group_norm", {"groups": 3}], ["relu", {}], ["conv2d", {"filters": 4}],
                     ["group_norm", {"groups": 1}], ["flatten", {}], dense(5)], (2, 6, 7), classes(5), CE, SGD)
def group_norm():
    return nn.Sequential(nn.Conv2d(2, 6, 3), nn.GroupNorm(3, 6), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.GroupNorm(1, 4), nn.Flatten(),
                         nn.Linear(4 * 2 * 3, 5)), F.cross_entropy, sgd()


@case("conv1d", [["embedding", {"dim": 6}], ["transpose", {}], ["conv1d", {"filters": 4, "kernel": 3, "stride": 2, "padding": 1, "groups": 2}],
                 ["relu", {}], ["conv1d", {"filters": 5, "kernel": 2, "dilation": 2}],
                 ["conv1d", {"filters": 5, "kernel": 3, "dilation": 2, "same": True}], ["global_max_pool", {}], dense(3)],
      (9,), classes(3), CE, SGD, tokens=11)
def conv1d():
    return nn.Sequential(nn.Embedding(11, 6), Lambda(lambda x: x.transpose(1, 2)), nn.Conv1d(6, 4, 3, 2, 1, groups=2), nn.ReLU(),
                         nn.Conv1d(4, 5, 2, dilation=2), nn.Conv1d(5, 5, 3, 1, "same", 2), Lambda(lambda x: x.amax(2)), nn.Linear(5, 3)), F.cross_entropy, sgd()


@case("conv_transpose2d", [dense(12), ["reshape", {"shape": [3, 2, 2]}], ["conv_transpose2d", {"filters": 4, "kernel": 4}], ["tanh", {}],
                           ["conv_transpose2d", {"filters": 2, "kernel": [3, 2], "stride": [2, 1], "padding": [1, 0], "output_padding": [1, 0], "groups": 2}],
                           ["conv_transpose2d", {"filters": 2, "kernel": [2, 3], "stride": [1, 2], "padding": [2, 2], "dilation": [4, 1], "bias": False}],
                           ["upsample", {"factor": 2}], ["conv2d", {"filters": 1}], ["flatten", {}], dense(3)], (5,), values(3), MSE, SGD)
def conv_transpose2d():
    return nn.Sequential(nn.Linear(5, 12), nn.Unflatten(1, (3, 2, 2)), nn.ConvTranspose2d(3, 4, 4, 2, 1), nn.Tanh(),
                         nn.ConvTranspose2d(4, 2, (3, 2), (2, 1), (1, 0), (1, 0), groups=2),
                         nn.ConvTranspose2d(2, 2, (2, 3), (1, 2), 2, dilation=(4, 1), bias=False), nn.Upsample(scale_factor=2), nn.Conv2d(2, 1, 3),
                         nn.Flatten(), nn.Linear(14 * 12, 3)), F.mse_loss, sgd()


def positionwise(n):
    return lambda x, y: F.cross_entropy(x.reshape(-1, n), y.reshape(-1))


for name, layer in {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}.items():
    @case(name, [["embedding", {"dim": 5}], [name, {"units": 6}], [name, {"units": 4, "bidirectional": True}], dense(7)],
          (8,), classes(7, 8), CE, SGD, tokens=7)
    def recurrent(layer=layer):
        return Sequence(nn.Embedding(7, 5), layer(5, 6, batch_first=True), layer(6, 4, batch_first=True, bidirectional=True), nn.Linear(8, 7)), positionwise(7), sgd()

    @case(name + "_last", [["embedding", {"dim": 5}], [name, {"units": 4, "bidirectional": True, "output": "last"}], dense(3)],
          (6,), classes(3), CE, SGD, tokens=7)
    def recurrent_last(layer=layer):
        return Sequence(nn.Embedding(7, 5), layer(5, 4, batch_first=True, bidirectional=True), Last(2), nn.Linear(8, 3)), F.cross_entropy, sgd()


class Truncated(nn.Module):
    """A recurrent layer that runs over windows of k positions, through whose borders no gradient goes."""
    def __init__(self, layer, k, last=False):
        super().__init__()
        self.layer, self.k, self.last = layer, k, last

    def forward(self, x):
        state, out = None, []
        for window in x.split(self.k, 1):
            y, state = self.layer(window, state)
            state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
            out.append(y)
        return out[-1][:, -1] if self.last else torch.cat(out, 1)


for name, layer in {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}.items():
    @case(name + "_truncated", [["embedding", {"dim": 5}], [name, {"units": 6, "truncate": 3}], [name, {"units": 4, "truncate": 4, "output": "last"}], dense(3)],
          (8,), classes(3), CE, SGD, tokens=7)
    def truncated(layer=layer):
        return nn.Sequential(nn.Embedding(7, 5), Truncated(layer(5, 6, batch_first=True), 3), Truncated(layer(6, 4, batch_first=True), 4, True),
                             nn.Linear(4, 3)), F.cross_entropy, sgd()


def ctc(blank):
    """Labels are classes up to the last that is not blank; the sum over the records, divided by their number."""
    def loss(x, y):
        length = torch.tensor([max([i + 1 for i, c in enumerate(row) if c != blank], default=0) for row in y.tolist()])
        steps = torch.full((len(y),), x.shape[1])
        return F.ctc_loss(F.log_softmax(x, 2).transpose(0, 1), y, steps, length, blank, "sum") / len(y)
    return loss


@case("ctc", [["embedding", {"dim": 5}], ["gru", {"units": 6}], dense(4)], (11,), classes(4, 4), ["ctc", {"blank": 3}], SGD, tokens=7)
def ctc_case():
    return Sequence(nn.Embedding(7, 5), nn.GRU(5, 6, batch_first=True), nn.Linear(6, 4)), ctc(3), sgd()


def causal(n):
    return torch.full((n, n), float("-inf")).triu(1)


class Positions(nn.Module):
    def __init__(self, steps, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(steps, dim))

    def forward(self, x):
        return x + self.weight


class Sinusoids(nn.Module):
    def forward(self, x):
        _, steps, dim = x.shape
        t, i = torch.arange(steps).double()[:, None], torch.arange(0, dim, 2).double()[None]
        angle = t / 10000 ** (i / dim)
        table = torch.stack([angle.sin(), angle.cos()], 2).reshape(steps, -1)[:, :dim]
        return x + table.float()


for mask in (False, True):
    @case("attention_causal" if mask else "attention",
          [["embedding", {"dim": 6}], ["positions", {"kind": "learned" if mask else "sinusoidal"}], ["attention", {"heads": 3, "causal": mask}],
           ["attention", {"heads": 1}], dense(7)], (5,), classes(7, 5), CE, SGD, tokens=7)
    def attention(mask=mask):
        first = Sequence(nn.Embedding(7, 6), Positions(5, 6) if mask else Sinusoids(), nn.MultiheadAttention(6, 3, batch_first=True))
        if mask:
            first.mask = causal(5)
        return Sequence(first, nn.MultiheadAttention(6, 1, batch_first=True), nn.Linear(6, 7)), positionwise(7), sgd()


# Losses

def loss(name, ours, theirs, target, width, shape=(6,), logits=None):
    @case("loss_" + name, [dense(8), ["tanh", {}], dense(width)] + ([["softmax", {}]] if logits else []), shape, target, ours, SGD)
    def f():
        return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, width)), theirs, sgd()


loss("smoothing", ["cross_entropy", {"label_smoothing": 0.2}], lambda x, y: F.cross_entropy(x, y, label_smoothing=0.2), classes(4), 4)
loss("class_weights", ["cross_entropy", {"class_weights": [1, 2, 0.5, 3]}],
     lambda x, y: F.cross_entropy(x, y, torch.tensor([1, 2, 0.5, 3])), classes(4), 4)
loss("ignore", ["cross_entropy", {"ignore": 2}], lambda x, y: F.cross_entropy(x, y, ignore_index=2), classes(4), 4, logits=True)
def mixed(y):
    """Row r of 6 is mixed: 1 - r/12 of its class, the rest of the next class."""
    share = (1 - torch.arange(6) / 12).reshape(6, 1)
    return share * F.one_hot(y, 4) + (1 - share) * F.one_hot((y + 1) % 4, 4)


loss("mixed", ["cross_entropy", {"label_smoothing": 0.2}], lambda x, y: F.cross_entropy(x, mixed(y), label_smoothing=0.2),
     {**classes(4), "mixed": True}, 4)
loss("mae", ["mae", {}], F.l1_loss, values(3), 3)
loss("huber", ["huber", {"delta": 0.4}], lambda x, y: F.huber_loss(x, y, delta=0.4), values(3), 3)
loss("binary", ["binary_cross_entropy", {"positive_weight": 2.5}],
     lambda x, y: F.binary_cross_entropy_with_logits(x[:, 0], y.float(), pos_weight=torch.tensor(2.5)), classes(2), 1)
loss("binary_values", ["binary_cross_entropy", {}], F.binary_cross_entropy_with_logits, values(3), 3)
loss("hinge", ["hinge", {"margin": 0.7}], lambda x, y: F.multi_margin_loss(x, y, margin=0.7), classes(4), 4)


loss("divergence", ["kl_divergence", {}], lambda x, y: F.kl_div(F.log_softmax(x, 1), y, reduction="batchmean"), {**values(4), "simplex": True}, 4)


class Ratings(nn.Module):
    """Matrix factorisation: vectors of two columns of tokens, their products and the sum of these."""
    def __init__(self):
        super().__init__()
        self.user, self.film, self.head = nn.Embedding(9, 4), nn.Embedding(9, 4), nn.Linear(5, 3)

    def forward(self, x):
        product = self.user(x[:, 0]) * self.film(x[:, 1])
        return self.head(torch.cat([product.sum(1, keepdim=True), product], 1))


@case("products", [["embedding", {"dim": 4, "column": 0, "name": "user"}], ["embedding", {"dim": 4, "column": 1, "from": ["input"], "name": "film"}],
                   ["dot", {"from": ["user", "film"], "name": "match"}], ["multiply", {"from": ["user", "film"], "name": "product"}],
                   ["concat", {"from": ["match", "product"]}], dense(3)], (2,), values(3), MSE, SGD, tokens=9)
def products():
    return Ratings(), F.mse_loss, sgd()


# Optimisers and schedules, on one small network

def small(name, ours, theirs, schedule=None, torch_schedule=None, update=None, after=None, epoch=1):
    @case(name, [dense(8), ["tanh", {}], dense(4)], (6,), classes(4), CE, ours, schedule=schedule, epoch=epoch)
    def f():
        return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4)), F.cross_entropy, theirs, torch_schedule, None, update, after


small("sgd", ["sgd", {"lr": 0.1}], sgd(momentum=0))
small("sgd_l2", ["sgd", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}], sgd(weight_decay=0.01))
small("nesterov", ["sgd", {"lr": 0.1, "momentum": 0.9, "nesterov": True}], sgd(nesterov=True))
small("adam", ["adam", {"lr": 0.01}], lambda ps: torch.optim.Adam(ps, 0.01))
small("adam_l2", ["adam", {"lr": 0.01, "weight_decay": 0.1, "beta1": 0.8, "beta2": 0.99, "epsilon": 1e-6}],
      lambda ps: torch.optim.Adam(ps, 0.01, (0.8, 0.99), 1e-6, 0.1))
small("adamw", ["adamw", {"lr": 0.01, "weight_decay": 0.1}], lambda ps: torch.optim.AdamW(ps, 0.01, weight_decay=0.1))
small("rmsprop", ["rmsprop", {"lr": 0.01, "weight_decay": 0.01}], lambda ps: torch.optim.RMSprop(ps, 0.01, weight_decay=0.01))
small("rmsprop_momentum", ["rmsprop", {"lr": 0.01, "momentum": 0.8, "rho": 0.9}], lambda ps: torch.optim.RMSprop(ps, 0.01, 0.9, momentum=0.8))
small("rmsprop_centred", ["rmsprop", {"lr": 0.01, "momentum": 0.5, "centred": True, "epsilon": 1e-3}],
      lambda ps: torch.optim.RMSprop(ps, 0.01, eps=1e-3, momentum=0.5, centered=True))
small("adagrad_options", ["adagrad", {"lr": 0.05, "initial": 0.1, "lr_decay": 0.2, "weight_decay": 0.01}],
      lambda ps: torch.optim.Adagrad(ps, 0.05, 0.2, 0.01, 0.1))
small("adagrad", ["adagrad", {"lr": 0.05}], lambda ps: torch.optim.Adagrad(ps, 0.05))
small("one_cycle", ["sgd", {"lr": 0.5}], sgd(0.5, momentum=0), ["one_cycle", {"start": 0.04, "end": 4e-6}],
      lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.5, 10, cycle_momentum=False))


class Lion(torch.optim.Optimizer):
    """Not in torch: Chen et al., Symbolic Discovery of Optimization Algorithms, 2023."""
    def __init__(self, ps, lr, decay):
        super().__init__(ps, {"lr": lr, "decay": decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p -= group["lr"] * (torch.sign(0.9 * m + 0.1 * p.grad) + group["decay"] * p)
                m.mul_(0.99).add_(p.grad, alpha=0.01)


class Lamb(torch.optim.Optimizer):
    """Not in torch: You et al., Large Batch Optimization for Deep Learning, 2020."""
    def __init__(self, ps, lr, decay):
        super().__init__(ps, {"lr": lr, "decay": decay})
        self.t = 0

    @torch.no_grad()
    def step(self):
        self.t += 1
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                v = self.state[p].setdefault("v", torch.zeros_like(p))
                m.mul_(0.9).add_(p.grad, alpha=0.1)
                v.mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
                r = m / (1 - 0.9 ** self.t) / ((v / (1 - 0.999 ** self.t)).sqrt() + 1e-8) + group["decay"] * p
                p -= group["lr"] * p.norm() / r.norm() * r


small("lion", ["lion", {"lr": 0.01, "weight_decay": 0.1}], lambda ps: Lion(ps, 0.01, 0.1))
small("lamb", ["lamb", {"lr": 0.01, "weight_decay": 0.1}], lambda ps: Lamb(ps, 0.01, 0.1))
small("clip_norm", ["sgd", {"lr": 0.1, "clip_norm": 0.3}], sgd(momentum=0),
      update=lambda net: nn.utils.clip_grad_norm_(net.parameters(), 0.3))
small("clip_value", ["sgd", {"lr": 0.1, "clip_value": 0.05}], sgd(momentum=0),
      update=lambda net: nn.utils.clip_grad_value_(net.parameters(), 0.05))
small("cosine", ["sgd", {"lr": 0.1}], sgd(momentum=0), ["cosine", {}], lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 10))


small("step", ["sgd", {"lr": 0.1}], sgd(momentum=0), ["step", {"every": 2, "gamma": 0.5}], lambda o: torch.optim.lr_scheduler.StepLR(o, 2, 0.5), epoch=2)
small("exponential", ["sgd", {"lr": 0.1}], sgd(momentum=0), ["exponential", {"gamma": 0.7}], lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.7), epoch=2)


def lasso(net):
    """The gradient of 0.02 times the sum of the sizes of all weights."""
    for p in net.parameters():
        if p.dim() > 1:
            p.grad += 0.02 * p.sign()


def shorten(net):
    """No row of weights is longer than 0.8."""
    with torch.no_grad():
        for p in net.parameters():
            if p.dim() > 1:
                p.copy_(p.renorm(2, 0, 0.8))


small("elastic_net", ["sgd", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.05, "l1": 0.02}], sgd(weight_decay=0.05), update=lasso)
small("max_norm", ["sgd", {"lr": 0.1, "max_norm": 0.8}], sgd(momentum=0), after=shorten)


# Curves of the whole networks that are measured

@case("mlp", [dense(512), ["relu", {}], dense(512), ["relu", {}], dense(10)], (784,), classes(10), CE,
      ["sgd", {"lr": 0.01, "momentum": 0.9}], batch=16, steps=50, curve=True)
def mlp():
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)), F.cross_entropy, sgd(0.01)


@case("cnn", [["conv2d", {"filters": 32, "padding": 1}], ["relu", {}], ["max_pool", {}], ["conv2d", {"filters": 64, "padding": 1}],
              ["relu", {}], ["max_pool", {}], ["flatten", {}], dense(128), ["relu", {}], dense(10)], (1, 28, 28), classes(10), CE,
      ["sgd", {"lr": 0.01, "momentum": 0.9}], batch=4, steps=50, curve=True)
def cnn():
    net = nn.Sequential(nn.Conv2d(1, 32, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2),
                        nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10))
    return net, F.cross_entropy, sgd(0.01)


class Block(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
                                  nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))
        self.short = nn.Sequential()
        if stride > 1:
            self.short = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        return torch.relu(self.body(x) + self.short(x))


def resnet_model():
    conv = lambda width, stride=1, **kw: ["conv2d", {"filters": width, "kernel": 3, "stride": stride, "padding": 1, "bias": False, **kw}]
    model = [conv(16), ["batch_norm", {}], ["relu", {"name": "x0"}]]
    n = 0
    for width in (16, 32, 64):
        for block in range(3):
            stride = 2 if width > 16 and block == 0 else 1
            x, body, short = "x%d" % n, "body%d" % n, "x%d" % n
            model += [conv(width, stride), ["batch_norm", {}], ["relu", {}], conv(width), ["batch_norm", {"name": body}]]
            if stride > 1:
                short = "short%d" % n
                model += [["conv2d", {"filters": width, "kernel": 1, "stride": 2, "bias": False, "from": [x]}], ["batch_norm", {"name": short}]]
            n += 1
            model += [["add", {"from": [body, short]}], ["relu", {"name": "x%d" % n}]]
    return model + [["global_avg_pool", {}], dense(10)]


# The rate is small because at 0.01 the first steps are chaotic: PyTorch's own
# curves in float32 and float64 are 4e-3 apart after seven of them.
@case("resnet20", resnet_model(), (3, 32, 32), classes(10), CE, ["sgd", {"lr": 0.0003, "momentum": 0.9}], batch=16, steps=50, curve=True, lanes=1)
def resnet20():
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    channels = 16
    for width in (16, 32, 64):
        for block in range(3):
            layers.append(Block(channels, width, 2 if width > 16 and block == 0 else 1))
            channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)), F.cross_entropy, sgd(0.0003)


for name, layer in {"lstm": nn.LSTM, "gru": nn.GRU}.items():
    @case("curve_" + name, [["embedding", {"dim": 64}], [name, {"units": 256}], dense(96)], (64,), classes(96, 64), CE,
          ["sgd", {"lr": 0.5, "momentum": 0.9}], batch=2, steps=50, curve=True, tokens=96, chain=True)
    def curve_recurrent(layer=layer):
        return Sequence(nn.Embedding(96, 64), layer(64, 256, batch_first=True), nn.Linear(256, 96)), positionwise(96), sgd(0.5)


class TransformerBlock(nn.Module):
    def __init__(self, width, heads, steps):
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(width), nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.mask = causal(steps)

    def forward(self, x):
        y = self.norm(x)
        x = x + self.attention(y, y, y, need_weights=False, attn_mask=self.mask)[0]
        return x + self.mlp(x)


def gpt_model():
    model = [["embedding", {"dim": 128}], ["positions", {"name": "x0"}]]
    for i in range(4):
        x, a, m = "x%d" % i, "a%d" % i, "m%d" % i
        model += [["layer_norm", {"from": [x]}], ["attention", {"heads": 4, "causal": True, "name": a}], ["add", {"from": [x, a], "name": "r%d" % i}],
                  ["layer_norm", {}], dense(512), ["gelu", {}], dense(128, name=m), ["add", {"from": ["r%d" % i, m], "name": "x%d" % (i + 1)}]]
    return model + [["layer_norm", {}], dense(65)]


@case("gpt", gpt_model(), (64,), classes(65, 64), CE, ["sgd", {"lr": 0.05, "momentum": 0.9}], batch=2, steps=50, curve=True, tokens=65, chain=True)
def gpt():
    blocks = [TransformerBlock(128, 4, 64) for _ in range(4)]
    return nn.Sequential(nn.Embedding(65, 128), Positions(64, 128), *blocks, nn.LayerNorm(128), nn.Linear(128, 65)), positionwise(65), sgd(0.05)


def distance(a, b):
    """How far results are from those of the file, with the largest number of a list as scale."""
    if isinstance(a, list) and a and isinstance(a[0], float):
        scale = max([0.01] + [abs(x) for x in b])
        return max(abs(x - y) for x, y in zip(a, b)) / scale if len(a) == len(b) else float("inf")
    if isinstance(a, list):
        return max([distance(x, y) for x, y in zip(a, b)] + [0]) if len(a) == len(b) else float("inf")
    return 0 if a == b else float("inf")


def check(result, path):
    """Compares with a file; other machines add in another order."""
    with open(path) as file:
        committed = json.load(file)
    worst = max(distance(v, committed[k]) for k, v in result.items() if k in ("losses", "numbers", "gradients", "parameters", "buffers"))
    print("%-24s %.1e" % (result["name"], worst))
    return worst < 1e-4


def main():
    names = [a for a in sys.argv[1:] if a != "--check"]
    os.makedirs(DIR, exist_ok=True)
    same = True
    for name, (c, f) in CASES.items():
        if names and name not in names:
            continue
        # Curves are in float64, so that only our rounding counts: two machines'
        # float32 curves of resnet20 are 1e-3 apart.
        torch.set_default_dtype(torch.float64 if c["curve"] else torch.float32)
        result, path = train(c, *f()), os.path.join(DIR, name + ".json")
        if "--check" in sys.argv:
            same = check(result, path) and same
            continue
        with open(path, "w") as out:
            json.dump(result, out, separators=(",", ":"))
            out.write("\n")
    sys.exit(0 if same else "a file differs by more than 1e-4: write it anew, or find out why")


if __name__ == "__main__":
    main()
