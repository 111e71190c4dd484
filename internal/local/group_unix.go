//go:build unix

package local

import "syscall"

// ownGroup keeps the terminal's Ctrl-C from the process.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
