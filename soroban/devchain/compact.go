package devchain

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/internal/state"
)

func newRestoreLayer() *state.Layer { return state.NewLayer(state.NewStore(0), 0) }

// emptyMeta is the metadata of a ledger in which nothing happened; its header follows from the one before.
func emptyMeta(previous *ledger, closeTime uint64) (xdr.LedgerCloseMetaV2, error) {
	var meta xdr.LedgerCloseMetaV2
	meta.LedgerHeader.Header.LedgerSeq = previous.header.LedgerSeq + 1
	meta.LedgerHeader.Header.ScpValue.CloseTime = xdr.TimePoint(closeTime)
	meta.TxSet = txSet(previous.hash, nil)
	return meta, seal(&meta, previous, 0)
}

// firstLedger is ledger 1: no transactions, genesis entries.
func firstLedger(closeTime int64, passphrase string) (*ledger, error) {
	var meta xdr.LedgerCloseMetaV2
	meta.LedgerHeader.Header.LedgerSeq = 1
	meta.LedgerHeader.Header.ScpValue.CloseTime = xdr.TimePoint(closeTime) //nolint:gosec // seconds since 1970
	meta.TxSet = txSet(xdr.Hash{}, nil)
	if err := seal(&meta, nil, 0); err != nil {
		return nil, err
	}
	return ingest(meta, passphrase)
}

// compactIfLarge rewrites the log when it has doubled since the last time, so that it stays in proportion to what it
// describes. A failure leaves the old log in use.
func (c *Chain) compactIfLarge() {
	if c.log == nil || c.log.size < c.log.base+max(c.log.base, compactAt) {
		return
	}
	if err := c.rewriteLog(); err != nil {
		c.cfg.Log.Error("devchain: compacting the ledger log", slog.Any("error", err))
		c.log.base = c.log.size // not again before it has grown as much
	}
}

// rewriteLog writes the present entries and the retained ledgers into a new log and puts it in the old one's place.
func (c *Chain) rewriteLog() error {
	path := filepath.Join(c.log.dir, logName)
	temp := path + ".new"
	file, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644) //nolint:gosec // the operator's own folder, not secret
	if err != nil {
		return fmt.Errorf("devchain: new ledger log: %w", err)
	}
	size, err := c.writeLog(file)
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("devchain: new ledger log: %w", err), file.Close(), os.Remove(temp))
	}
	if c.log.file != nil {
		if err := c.log.file.Close(); err != nil {
			c.cfg.Log.Warn("devchain: closing the old ledger log", slog.Any("error", err))
		}
	}
	c.log.file, c.log.size, c.log.base = file, size, size
	return syncDir(c.log.dir)
}

func (c *Chain) writeLog(file *os.File) (int64, error) {
	w := &frameWriter{w: bufio.NewWriterSize(file, 1<<20)}
	id, err := json.Marshal(identity{Format: logFormat, Passphrase: c.cfg.Passphrase, Admin: c.admin})
	if err != nil {
		return 0, fmt.Errorf("encoding identity: %w", err)
	}
	w.write(append([]byte{frameIdentity}, id...))
	entries := []byte{frameEntries}
	for _, e := range c.store.All {
		raw, err := e.MarshalBinary()
		if err != nil {
			return 0, fmt.Errorf("encoding entry: %w", err)
		}
		if entries = append(entries, raw...); len(entries) >= entriesFrame {
			w.write(entries)
			entries = entries[:1]
		}
	}
	w.write(entries)
	for i, l := range c.ledgers {
		meta, err := l.closeMeta()
		if err != nil {
			return 0, err
		}
		payload, err := fullPayload(meta, frameKnown)
		if i > 0 {
			payload, err = ledgerPayload(meta, frameKnown, frameKnownNil)
		}
		if err != nil {
			return 0, err
		}
		w.write(payload)
	}
	if w.err == nil {
		w.err = w.w.Flush()
	}
	return w.size, w.err
}

// frameWriter remembers the first error.
type frameWriter struct {
	w    *bufio.Writer
	buf  []byte
	size int64
	err  error
}

func (f *frameWriter) write(payload []byte) {
	if f.err != nil {
		return
	}
	f.buf = appendFrame(f.buf[:0], payload)
	f.size += int64(len(f.buf))
	_, f.err = f.w.Write(f.buf)
}

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the operator's own folder, not secret
	if err != nil {
		return fmt.Errorf("devchain: data directory: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
