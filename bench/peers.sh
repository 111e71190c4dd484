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
isa=${LOCKSTEP_ISA:-portable}
if [ -z "${LOCKSTEP_ISA:-}" ]; then
	for best in avx2 avx512vl; do
		if grep -qw "$best" /proc/cpuinfo 2>/dev/null; then isa=${best%vl}; fi
	done
fi
# OpenBLAS takes the slowest kernels on a CPU that it does not know.
case $isa in
avx512) export OPENBLAS_CORETYPE=SkylakeX ;;
avx2) export OPENBLAS_CORETYPE=Haswell DNNL_MAX_CPU_ISA=AVX2 ;;
portable) ;;
*)
	echo "bench-peers: LOCKSTEP_ISA is $isa; it can be avx512, avx2 or portable" >&2
	exit 2
	;;
esac
cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -1)
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
	go run ./bench/peers -peer "$tmp/peer" -cpu "$cpu" -versions "$versions" -isa "$isa" -out "bench/results/peers-$isa.md" "$@"
