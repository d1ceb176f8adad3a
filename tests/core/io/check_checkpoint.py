"""Reads a checkpoint by the format's description alone, and by the safetensors package where there is one:
check_checkpoint.py WRITE_CHECKPOINT FOLDER"""

import json
import os
import struct
import subprocess
import sys

EXPECTED = {
    "single": ("F32", [2, 3], struct.pack("<6f", *(0.5 * i for i in range(6)))),
    "real": ("F64", [2], struct.pack("<2d", 1 / 3, 1 / 4)),
    "whole": ("I32", [3], struct.pack("<3i", 0, -1, -2)),
}

program, folder = sys.argv[1:3]
os.makedirs(folder, exist_ok=True)
path = os.path.join(folder, "checkpoint.safetensors")
subprocess.run([program, path], check=True)
with open(path, "rb") as file:
    content = file.read()
(length,) = struct.unpack("<Q", content[:8])
assert (8 + length) % 8 == 0
header = json.loads(content[8 : 8 + length])
assert header.pop("__metadata__") == {"step": "12"}
assert set(header) == set(EXPECTED)
data = content[8 + length :]
for name, (dtype, shape, values) in EXPECTED.items():
    entry = header[name]
    begin, end = entry["data_offsets"]
    assert (entry["dtype"], entry["shape"], data[begin:end]) == (dtype, shape, values), name
print("read by the format's description")
try:
    from safetensors import safe_open
except ImportError:
    print("the safetensors package is not installed")
else:
    with safe_open(path, "numpy") as file:
        assert file.metadata() == {"step": "12"}
        for name, (_, shape, values) in EXPECTED.items():
            tensor = file.get_tensor(name)
            assert list(tensor.shape) == shape and tensor.tobytes() == values, name
    print("read by the safetensors package")
