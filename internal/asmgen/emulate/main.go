//go:build linux

// Command emulate is the first and only program of a machine in an emulator: it
// runs the test program /tests with the arguments in /arguments, prints how it
// ended and turns the machine off. See run.sh.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Println("FAIL", err)
	} else {
		fmt.Println("PASS in the emulator")
	}
	time.Sleep(5 * time.Second) // the serial port is slow to write the last line
	syscall.Sync()
	if err := syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Println("turning the machine off:", err)
	}
}

func run() error {
	for _, m := range []string{"proc", "devtmpfs", "tmpfs"} {
		at := map[string]string{"proc": "/proc", "devtmpfs": "/dev", "tmpfs": "/tmp"}[m]
		if err := os.MkdirAll(at, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount(m, at, m, 0, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", at, err)
		}
	}
	arguments, err := os.ReadFile("/arguments")
	if err != nil {
		return err
	}
	cmd := exec.Command("/tests", strings.Fields(string(arguments))...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/package", os.Stdout, os.Stdout
	return cmd.Run()
}
