#!/usr/bin/env bash
# Runs the tests of pkg/tensor on an emulated CPU with AVX-512 (Bochs), for
# machines that have none: the bits of the AVX-512 kernels are compared with those
# of the others there. Takes about ten minutes. Debian packages: bochs bochsbios
# vgabios grub-pc-bin grub-common xorriso mtools cpio; the kernel is Debian's
# linux-image-cloud-amd64, downloaded and unpacked, not installed.
set -euo pipefail
for tool in bochs grub-mkrescue xorriso mformat cpio; do
	command -v "$tool" >/dev/null || { echo "skipped: $tool is missing (apt-get install bochs bochsbios vgabios grub-pc-bin grub-common xorriso mtools cpio)"; exit 0; }
done
here=$(cd "$(dirname "$0")" && pwd) root=$(cd "$(dirname "$0")/../../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

image=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ { print $2; exit }')
apt-get download -qq "$image" 2>/dev/null && dpkg -x "$image"_*.deb kernel

mkdir -p machine/package disk/boot/grub
(cd "$here" && CGO_ENABLED=0 go build -o "$work/machine/init" .)
(cd "$root" && CGO_ENABLED=0 go test -c -ldflags '-s -w' -o "$work/machine/tests" ./pkg/tensor)
[ ! -d "$root/pkg/tensor/testdata" ] || cp -r "$root/pkg/tensor/testdata" machine/package/
echo "-test.v -test.short -test.timeout=2h -test.run ${1:-KernelsAgree|Gemm|Conv}" >machine/arguments
(cd machine && find . | cpio -o -H newc 2>/dev/null | gzip -1) >disk/boot/initrd
cp kernel/boot/vmlinuz* disk/boot/vmlinuz
# Bochs computes the size of the compacted XSAVE area wrongly; the kernel must not use it.
cat >disk/boot/grub/grub.cfg <<'END'
set timeout=0
menuentry tests {
  linux /boot/vmlinuz console=ttyS0 quiet panic=1 mitigations=off nokaslr tsc=unstable noxsaves clearcpuid=321,323
  initrd /boot/initrd
}
END
grub-mkrescue -o disk.iso disk >/dev/null 2>&1
cat >bochsrc <<'END'
megs: 1024
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model=corei7_skylake_x, count=1, ips=100000000, reset_on_triple_fault=1
boot: cdrom
ata0-master: type=cdrom, path=disk.iso, status=inserted
com1: enabled=1, mode=file, dev=serial.txt
clock: sync=none
log: bochs.log
panic: action=fatal
sound: driver=dummy, waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
speaker: enabled=0
display_library: rfb, options="timeout=0"
END
# The emulator starts at a debugger's prompt, where c means continue.
mkfifo commands
exec 3<>commands # held open: an end of input would end the emulator
echo c >&3
timeout "${TIMEOUT:-1800}" bochs -q -f bochsrc <commands >/dev/null 2>&1 || true
cat serial.txt
grep -q '^PASS in the emulator' serial.txt
