#!/bin/sh
# Compares pkg/tensor with OpenBLAS and oneDNN on one thread, in turns, and writes
# a table to bench/results/. Needs g++, libopenblas-dev and libdnnl-dev (Debian);
# says so and leaves if they are missing. LOCKSTEP_ISA=avx2 holds all three to AVX2.
set -eu
cd "$(dirname "$0")/.."

skip() {
	echo "bench-peers: skipped: $1 (apt-get install g++ libopenblas-dev libdnnl-dev)"
	exit 0
}
command -v g++ >/dev/null || skip "no g++"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
g++ -O2 -std=c++17 -I/usr/include/"$(uname -m)"-linux-gnu/openblas-pthread -o "$tmp/peer" bench/peers/cpp/peer.cpp -ldnnl -lopenblas 2>"$tmp/errors" ||
	{ head -3 "$tmp/errors"; skip "peer.cpp does not build"; }

versions=$(dpkg-query -W -f '${Package} ${Version}, ' libopenblas-dev libdnnl-dev 2>/dev/null | sed 's/, $//' || true)
# OpenBLAS takes the slowest kernels on a CPU that it does not know.
if [ "${LOCKSTEP_ISA:-}" != avx2 ] && grep -q avx512f /proc/cpuinfo 2>/dev/null; then
	export OPENBLAS_CORETYPE=SkylakeX
	isa=avx512
else
	export OPENBLAS_CORETYPE=Haswell DNNL_MAX_CPU_ISA=AVX2
	isa=avx2
fi
cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -1)
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
	go run ./bench/peers -peer "$tmp/peer" -cpu "$cpu" -versions "$versions" -isa "$isa" -out "bench/results/peers-$isa.md" "$@"
