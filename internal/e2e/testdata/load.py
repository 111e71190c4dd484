"""Loads a model file into the modules of PyTorch that have its names, and applies
them: load.py MODEL INPUT OUTPUT, where the last two are little-endian float32."""
import json
import struct
import sys

import numpy as np
import torch
from torch import nn


def tensors(path):
    """The tensors of a safetensors file by name."""
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8:8 + size]), data[8 + size:]
    header.pop("__metadata__", None)
    out = {}
    for name, t in header.items():
        assert t["dtype"] == "F32", t
        begin, end = t["data_offsets"]
        out[name] = torch.from_numpy(np.frombuffer(body[begin:end], "<f4").reshape(t["shape"]).copy())
    return out


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6)
        self.rnn = nn.LSTM(10, 8, batch_first=True, bidirectional=True)
        self.look = nn.MultiheadAttention(16, 2, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = torch.relu(self.norm(self.conv(x)))
        x = x.reshape(len(x), 8 * 6, 10)
        x = self.rnn(x)[0]
        x = self.look(x, x, x, need_weights=False)[0]
        return self.head(x)


net = Net()
state = tensors(sys.argv[1])
missing = net.load_state_dict(state, strict=False)
assert not missing.unexpected_keys, missing
assert missing.missing_keys in ([], ["norm.num_batches_tracked"]), missing
net.eval()
x = torch.from_numpy(np.fromfile(sys.argv[2], "<f4")).reshape(-1, 1, 10, 12)
with torch.no_grad():
    net(x).numpy().astype("<f4").tofile(sys.argv[3])
