package coordinator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

// checkFile reads all that a store's file holds, if there is one. On a file that
// is cut off or overwritten bbolt panics, later on a goroutine of its own, where
// nobody could turn that into an error: so it is found out here.
func checkFile(path string) (err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: openTimeout})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // what is missing from a mapped file faults
	defer func() {
		if p := recover(); p != nil {
			err = damaged(p)
		}
	}()
	return db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				if string(name) != string(logBucket()) {
					return nil
				}
				if len(k) != 8 {
					return damaged(fmt.Sprintf("a key of %d bytes", len(k)))
				}
				if err := decodeLog(binary.BigEndian.Uint64(k), v, new(raft.Log)); err != nil {
					return damaged(err)
				}
				return nil
			})
		})
	})
}

func damaged(what any) error {
	return fmt.Errorf("the file is damaged (%v): restore the data directory from a copy; or, if the other coordinators "+
		"of the group are a majority and well, move it away and start again, and this one catches up from them", what)
}
