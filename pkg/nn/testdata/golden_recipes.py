#!/usr/bin/python3
"""Writes golden/recipe_*.json: steps of recipes as PyTorch does them, for
golden_test.go. What a recipe draws is drawn here by the same generator, written
down anew: Philox4x32-10 and Box and Muller.

Run: /usr/bin/python3 testdata/golden_recipes.py
"""
import json
import os

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from golden import DIR, batch, dense, fill, flat

DROPOUT, NOISE = 4 << 16, 6 << 16  # purposes of philox.go
LANES = ((0, 3), (3, 6))  # the records of two lanes of a batch of 6


def philox(key, counter):
    """Philox4x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3"."""
    (k0, k1), (c0, c1, c2, c3) = key, counter
    for _ in range(10):
        a, b = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = b >> 32 ^ c1 ^ k0, b & 0xFFFFFFFF, a >> 32 ^ c3 ^ k1, a & 0xFFFFFFFF
        k0, k1 = k0 + 0x9E3779B9 & 0xFFFFFFFF, k1 + 0xBB67AE85 & 0xFFFFFFFF
    return c0, c1, c2, c3


def uniform(n, purpose, step, lane):
    """n numbers in [0, 1) of a stream of seed 0 and epoch 0."""
    key = philox((0, 0), (purpose, 0, 0, 0))[:2]
    words = [w for block in range((n + 3) // 4) for w in philox(key, (block, 0, step, lane))]
    return np.array(words[:n], dtype=np.uint64) // 256 / 2.0**24


def normal(n, purpose, step, lane):
    u = uniform(n + n % 2, purpose, step, lane)
    radius, angle = np.sqrt(-2 * np.log(1 - u[::2])), 2 * np.pi * u[1::2]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).reshape(-1)[:n]


def drawn(f, shape, purpose, step, lanes=LANES):
    """One draw for every number of a record, lane by lane."""
    each = int(np.prod(shape))
    parts = [f((to - first) * each, purpose, step, lane) for lane, (first, to) in enumerate(lanes)]
    return torch.from_numpy(np.concatenate(parts).astype(np.float32)).reshape(-1, *shape)


def start(name, recipe, model, shape, loss, optimizer, lanes=2):
    return {"name": name, "model": model, "recipe": recipe, "input": list(shape), "tokens": 0, "target": {"kind": "", "classes": 0, "shape": []},
            "loss": loss, "optimizer": optimizer, "schedule": ["constant", {}], "batch": 6, "steps": 10, "curve": False, "lanes": lanes,
            "chain": False, "losses": [], "numbers": [], "gradients": [], "parameters": [], "buffers": []}


def write(case, nets):
    case["parameters"] = [flat(p) for net in nets for p in net.parameters()]
    case["buffers"] = [flat(b) for net in nets for name, b in net.named_buffers() if "running" in name]
    with open(os.path.join(DIR, case["name"] + ".json"), "w") as out:
        json.dump(case, out, separators=(",", ":"))
        out.write("\n")


def train(case, net, step):
    """One network, one optimiser. step(x, s) gives the loss and what else is reported."""
    fill(list(net.named_parameters()))
    optimizer = torch.optim.SGD(net.parameters(), **case["optimizer"][1])
    for s in range(case["steps"]):
        optimizer.zero_grad()
        loss, *numbers = step(batch(case, s)[0], s)
        loss.backward()
        case["losses"].append(float("%.8g" % loss.item()))
        case["numbers"].append([float("%.8g" % v.item()) for v in numbers])
        if s == 0:
            case["gradients"] = [flat(p.grad) for p in net.parameters()]
        optimizer.step()
    write(case, [net])


def denoising():
    net = nn.Sequential(nn.Linear(7, 9), nn.Tanh(), nn.Linear(9, 7))

    def step(x, s):
        seen = x + 0.4 * drawn(normal, (7,), NOISE, s)
        seen = torch.where(drawn(uniform, (7,), NOISE + 1, s) < 0.3, torch.zeros(()), seen)
        return (F.mse_loss(net(seen), x),)
    case = start("recipe_denoising", ["denoising_autoencoder", {"noise": 0.4, "mask": 0.3}], [dense(9), ["tanh", {}], dense(7)], (7,),
                 ["mse", {}], ["sgd", {"lr": 0.1, "momentum": 0.9}])
    train(case, net, step)


def variational():
    """The loss of a record is its negative evidence lower bound: the sum of the
    squared errors, and the divergence that torch.distributions finds."""
    encoder, decoder = nn.Sequential(nn.Linear(7, 9), nn.Tanh(), nn.Linear(9, 6)), nn.Sequential(nn.Linear(3, 9), nn.Tanh(), nn.Linear(9, 7))

    def step(x, s):
        code = encoder(x)
        deviation = F.softplus(code[:, 3:])
        z = code[:, :3] + deviation * drawn(normal, (3,), DROPOUT + 3, s)  # of layer 3
        prior = torch.distributions.Normal(torch.zeros(3), torch.ones(3))
        divergence = torch.distributions.kl_divergence(torch.distributions.Normal(code[:, :3], deviation), prior).sum(1).mean()
        squares = (decoder(z) - x).square().sum(1).mean()
        return squares + divergence, squares, divergence
    model = [dense(9), ["tanh", {}], dense(6), ["gaussian_sample", {}], dense(9), ["tanh", {}], dense(7)]
    case = start("recipe_variational", ["variational_autoencoder", {}], model, (7,), ["mse", {}], ["sgd", {"lr": 0.01, "momentum": 0.9}])
    train(case, nn.Sequential(*encoder, *decoder), step)


def gan(discriminator_steps):
    """In turns, as algorithm 1 of Goodfellow et al. and the DCGAN example of
    PyTorch, or both at once. Normalisation is over one lane."""
    generator = nn.Sequential(nn.Linear(3, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Unflatten(1, (2, 2, 2)), nn.ConvTranspose2d(2, 1, 4, 2, 1), nn.Tanh())
    judge = nn.Sequential(nn.Conv2d(1, 3, 3, 1, 1), nn.LeakyReLU(0.2), nn.Conv2d(3, 4, 2, 2, bias=False), nn.BatchNorm2d(4), nn.LeakyReLU(0.2),
                          nn.Flatten(), nn.Linear(16, 1))
    discriminator = [["conv2d", {"filters": 3, "kernel": 3, "padding": 1}], ["leaky_relu", {"slope": 0.2}],
                     ["conv2d", {"filters": 4, "kernel": 2, "stride": 2, "bias": False}], ["batch_norm", {}], ["leaky_relu", {"slope": 0.2}], ["flatten", {}], dense(1)]
    recipe = ["gan", {"latent": 3, "discriminator": discriminator, "discriminator_steps": discriminator_steps, "smoothing": 0.1,
                      "optimizer": ["adam", {"lr": 0.01, "beta1": 0.5}]}]
    model = [dense(8, bias=False), ["batch_norm", {}], ["relu", {}], ["reshape", {"shape": [2, 2, 2]}], ["conv_transpose2d", {"filters": 1}], ["tanh", {}]]
    case = start("recipe_gan" + ("" if discriminator_steps else "_at_once"), recipe, model, (1, 4, 4), ["binary_cross_entropy", {}],
                 ["adam", {"lr": 0.02, "beta1": 0.5}], lanes=1)
    fill([*generator.named_parameters(), *judge.named_parameters()])
    optimizers = torch.optim.Adam(generator.parameters(), 0.02, (0.5, 0.999)), torch.optim.Adam(judge.parameters(), 0.01, (0.5, 0.999))
    for s in range(case["steps"]):
        x = batch(case, s)[0]
        made = generator(drawn(normal, (3,), NOISE, s, lanes=((0, 6),)))
        real, false = judge(x), judge(made)
        loss = lambda y, target: F.binary_cross_entropy_with_logits(y, torch.full_like(y, target))
        losses = loss(false, 1.0), (loss(real, 0.9) + loss(false, 0.0)) / 2
        right = ((real > 0).float().mean() + (false <= 0).float().mean()) / 2
        case["losses"].append(float("%.8g" % sum(losses).item()))
        case["numbers"].append([float("%.8g" % v.item()) for v in (losses[1], losses[0], right)])
        gradients = [torch.autograd.grad(l, list(net.parameters()), retain_graph=True) for l, net in zip(losses, (generator, judge))]
        turn = (0, 1) if discriminator_steps == 0 else (1,) if s % (discriminator_steps + 1) < discriminator_steps else (0,)
        if s == 0:
            case["gradients"] = [flat(g) if i in turn else [0.0] * g.numel() for i in (0, 1) for g in gradients[i]]
        for i in turn:
            for p, g in zip((generator, judge)[i].parameters(), gradients[i]):
                p.grad = g
            optimizers[i].step()
    write(case, [generator, judge])


if __name__ == "__main__":
    denoising()
    variational()
    gan(0)
    gan(2)
