package coordinator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"github.com/lockstep-ml/lockstep/pkg/cluster"
)

// store keeps the Raft log and Raft's own variables in one bbolt file. Every
// write is synced before it returns. It implements raft.LogStore and
// raft.StableStore.
//
//	bucket "log"   index (8 bytes, big-endian) -> entry, see encodeLog
//	bucket "vars"  name -> value
type store struct {
	db     *bbolt.DB
	quit   chan struct{}         // closed when Raft is about to stop
	failed atomic.Pointer[error] // of the last write; nil if it succeeded
	waits  atomic.Bool           // see SetUint64
}

// writeAgain is the pause before a failed write is tried again.
const writeAgain = 100 * time.Millisecond

// openTimeout bounds the wait for another process to let go of the file.
const openTimeout = 2 * time.Second

const logVersion = 1

func logBucket() []byte { return []byte("log") }
func varBucket() []byte { return []byte("vars") }

// openStore opens the file in dir, or makes it. If noSync is set writes are not synced.
func openStore(dir string, noSync bool) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	path := filepath.Join(dir, "raft.db")
	err := checkFile(path)
	var db *bbolt.DB
	if err == nil {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout: openTimeout, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true, NoSync: noSync,
		})
	}
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open %s: another coordinator is using this directory: %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err1 := tx.CreateBucketIfNotExists(logBucket())
		_, err2 := tx.CreateBucketIfNotExists(varBucket())
		return errors.Join(err1, err2)
	})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &store{db: db, quit: make(chan struct{})}, nil
}

// errStopping means that nothing is written any more.
var errStopping = errors.New("the coordinator is stopping")

// update writes, and remembers whether that failed.
func (s *store) update(f func(*bbolt.Tx) error) error {
	select {
	case <-s.quit:
		return errStopping
	default:
	}
	err := s.db.Update(f)
	if err != nil {
		s.failed.Store(&err)
	} else {
		s.failed.Store(nil)
	}
	return err
}

// failure returns why the last write failed; nil if it did not.
func (s *store) failure() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// stop ends all waiting and writing, so that Raft can stop.
func (s *store) stop() { close(s.quit) }

func (s *store) close() error { return s.db.Close() }

// FirstIndex returns the index of the oldest entry, 0 if there is none.
func (s *store) FirstIndex() (uint64, error) {
	return s.edge(func(c *bbolt.Cursor) ([]byte, []byte) { return c.First() })
}

// LastIndex returns the index of the newest entry, 0 if there is none.
func (s *store) LastIndex() (uint64, error) {
	return s.edge(func(c *bbolt.Cursor) ([]byte, []byte) { return c.Last() })
}

func (s *store) edge(move func(*bbolt.Cursor) (key, value []byte)) (index uint64, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		if key, _ := move(tx.Bucket(logBucket()).Cursor()); key != nil {
			index = binary.BigEndian.Uint64(key)
		}
		return nil
	})
	return index, err
}

// GetLog reads one entry, or returns raft.ErrLogNotFound.
func (s *store) GetLog(index uint64, out *raft.Log) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		value := tx.Bucket(logBucket()).Get(key(index))
		if value == nil {
			return raft.ErrLogNotFound
		}
		return decodeLog(index, value, out)
	})
}

// checkCommands refuses a log with commands that a newer program wrote: Raft can but
// panic at them, later.
func (s *store) checkCommands() error {
	return s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(logBucket()).ForEach(func(k, v []byte) error {
			var l raft.Log
			err := decodeLog(binary.BigEndian.Uint64(k), v, &l)
			if err == nil && l.Type == raft.LogCommand {
				_, err = cluster.Decode(l.Data)
			}
			if err != nil {
				return fmt.Errorf("log entry %d is of a newer version of this program, or damaged: start that version, or restore the directory from a copy: %w",
					l.Index, err)
			}
			return nil
		})
	})
}

// StoreLog writes one entry.
func (s *store) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs writes entries, all or none.
func (s *store) StoreLogs(logs []*raft.Log) error {
	return s.update(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(logBucket())
		for _, l := range logs {
			if err := bucket.Put(key(l.Index), encodeLog(l)); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteRange removes the entries from low to high, both included.
func (s *store) DeleteRange(low, high uint64) error {
	return s.update(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(logBucket())
		first, _ := bucket.Cursor().First()
		last, _ := bucket.Cursor().Last()
		if first == nil {
			return nil
		}
		low, high := max(low, binary.BigEndian.Uint64(first)), min(high, binary.BigEndian.Uint64(last))
		for i := low; i <= high; i++ {
			if err := bucket.Delete(key(i)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Set writes a variable.
func (s *store) Set(name, value []byte) error {
	return s.update(func(tx *bbolt.Tx) error { return tx.Bucket(varBucket()).Put(name, value) })
}

// Get reads a variable; it is empty if it was never set.
func (s *store) Get(name []byte) (value []byte, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		value = append(value, tx.Bucket(varBucket()).Get(name)...)
		return nil
	})
	return value, err
}

// SetUint64 writes a variable that is a number. Raft panics if its term can not be
// written; so once waits is set this tries again until the disk takes it. When the
// store stops it returns as if it had: nothing can be voted for or stored after that.
func (s *store) SetUint64(name []byte, value uint64) error {
	for {
		err := s.Set(name, key(value))
		if err == nil || !s.waits.Load() {
			return err
		}
		select {
		case <-time.After(writeAgain):
		case <-s.quit:
			return nil
		}
	}
}

// GetUint64 reads a variable that is a number; it is 0 if it was never set.
func (s *store) GetUint64(name []byte) (uint64, error) {
	value, err := s.Get(name)
	if err != nil || len(value) == 0 {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("variable %q is %d bytes, not 8: the data directory is damaged", name, len(value))
	}
	return binary.BigEndian.Uint64(value), nil
}

func key(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// encodeLog writes version 1 of an entry: version (1 byte), type (1), term (8),
// time of appending in Unix nanoseconds (8), length of the extensions (4),
// extensions, data.
func encodeLog(l *raft.Log) []byte {
	b := make([]byte, 0, 22+len(l.Extensions)+len(l.Data))
	b = append(b, logVersion, byte(l.Type))
	b = binary.BigEndian.AppendUint64(b, l.Term)
	var at int64
	if !l.AppendedAt.IsZero() {
		at = l.AppendedAt.UnixNano()
	}
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	b = binary.BigEndian.AppendUint32(b, uint32(len(l.Extensions)))
	return append(append(b, l.Extensions...), l.Data...)
}

func decodeLog(index uint64, b []byte, out *raft.Log) error {
	if len(b) < 22 || b[0] != logVersion {
		return fmt.Errorf("log entry %d: damaged or of another version", index)
	}
	n := binary.BigEndian.Uint32(b[18:])
	if n > math.MaxInt32 || int(n) > len(b)-22 {
		return fmt.Errorf("log entry %d: damaged", index)
	}
	*out = raft.Log{Index: index, Type: raft.LogType(b[1]), Term: binary.BigEndian.Uint64(b[2:])}
	if at := int64(binary.BigEndian.Uint64(b[10:])); at != 0 {
		out.AppendedAt = time.Unix(0, at)
	}
	rest := b[22:]
	out.Extensions = append([]byte(nil), rest[:n]...)
	out.Data = append([]byte(nil), rest[n:]...)
	return nil
}
