#!/bin/sh
# Compares training with PyTorch on one thread, in turns, and writes a table to
# bench/results/. Needs python3-torch and libopenblas0 (Debian); says so and leaves
# if they are missing. Arguments are passed on: -runs 3 lstm gru.
set -eu
cd "$(dirname "$0")/.."

python=${PYTHON:-/usr/bin/python3}
skip() {
	echo "bench-torch: skipped: $1 (apt-get install python3-torch libopenblas0)"
	exit 0
}
versions=$("$python" -c 'import torch; print("PyTorch", torch.__version__)' 2>/dev/null) || skip "no PyTorch for $python"
# With the reference BLAS, which Debian installs first, PyTorch is many times slower.
"$python" -c 'import torch; torch.ones(2, 2) @ torch.ones(2, 2); assert "openblas" in open("/proc/self/maps").read()' 2>/dev/null ||
	skip "PyTorch does not use OpenBLAS"
libraries=$(dpkg-query -W -f '${Package} ${Version}, ' libopenblas0 libdnnl2 2>/dev/null | sed 's/, $//' || true)

isa=avx2
if grep -q avx512f /proc/cpuinfo 2>/dev/null; then
	# OpenBLAS takes the slowest kernels on a CPU that it does not know.
	export OPENBLAS_CORETYPE=SkylakeX
	isa=avx512
fi
cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -1)
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
exec go run ./bench/torch -python "$python" -cpu "$cpu" -versions "$versions, $libraries" -out "bench/results/train-$isa.md" "$@"
