package devchain

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/stellar/go-stellar-sdk/xdr"
)

// What a frame of the ledger log holds, by its first byte. A log is the identity, then the entries as of some ledger,
// then the retained ledgers up to that one, then every ledger closed since: restoring needs no contract code.
const (
	frameIdentity = 'G' // JSON
	frameEntries  = 'S' // XDR ledger entries, one after the other
	frameKnown    = 'k' // a ledger that the entries contain already: XDR metadata
	frameKnownNil = 'e' // the same, without transactions: close time
	frameLedger   = 'L' // a later ledger: XDR metadata
	frameEmpty    = 'E' // the same, without transactions: close time
)

const (
	logName      = "ledgers.log"
	logFormat    = 1
	entriesFrame = 1 << 20  // bytes of entries in one frame, about
	compactAt    = 64 << 20 // a log is not compacted before it has grown by this much
)

type identity struct {
	Format     int    `json:"format"`
	Passphrase string `json:"passphrase"`
	Admin      string `json:"admin"`
}

// ledgerLog is the open file that ledgers are appended to.
type ledgerLog struct {
	file *os.File
	lock *os.File
	dir  string
	size int64
	base int64 // size after the last compaction
}

// append makes a ledger durable. A nil log keeps nothing.
func (l *ledgerLog) append(meta xdr.LedgerCloseMetaV2) error {
	if l == nil {
		return nil
	}
	payload, err := ledgerPayload(meta, frameLedger, frameEmpty)
	if err != nil {
		return err
	}
	n, err := l.file.Write(appendFrame(nil, payload))
	l.size += int64(n)
	if err != nil {
		return fmt.Errorf("appending to ledger log: %w", err)
	}
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("syncing ledger log: %w", err)
	}
	return nil
}

func (l *ledgerLog) close() error { return errors.Join(l.file.Close(), unlockDir(l.lock)) }

// ledgerPayload writes a ledger in full, or only its close time if nothing happened in it.
func ledgerPayload(meta xdr.LedgerCloseMetaV2, full, empty byte) ([]byte, error) {
	if len(meta.TxProcessing) == 0 && len(meta.EvictedKeys) == 0 {
		return binary.AppendUvarint([]byte{empty}, uint64(meta.LedgerHeader.Header.ScpValue.CloseTime)), nil
	}
	return fullPayload(meta, full)
}

func fullPayload(meta xdr.LedgerCloseMetaV2, kind byte) ([]byte, error) {
	raw, err := meta.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encoding ledger: %w", err)
	}
	return append([]byte{kind}, raw...), nil
}

// openDir restores the chain in cfg.Dir, or creates it there.
func (c *Chain) openDir() error {
	if err := os.MkdirAll(c.cfg.Dir, 0o755); err != nil { //nolint:gosec // the operator's own folder, not secret
		return fmt.Errorf("devchain: data directory: %w", err)
	}
	lock, err := lockDir(c.cfg.Dir)
	if err != nil {
		return err
	}
	c.log = &ledgerLog{dir: c.cfg.Dir, lock: lock}
	path := filepath.Join(c.cfg.Dir, logName)
	file, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // the operator's own folder, not secret
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if c.cfg.Passphrase == "" {
			c.cfg.Passphrase = DefaultPassphrase
		}
		if err = c.create(); err == nil {
			err = c.rewriteLog()
		}
	case err == nil:
		err = c.restore(file)
	default:
		err = fmt.Errorf("devchain: ledger log: %w", err)
	}
	if err != nil {
		return errors.Join(err, unlockDir(lock))
	}
	return nil
}

// restore reads the log into memory and cuts off a torn end.
func (c *Chain) restore(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("devchain: ledger log: %w", err), file.Close())
	}
	r := &frameReader{r: bufio.NewReaderSize(file, 1<<20), size: info.Size()}
	err = c.readFrames(r)
	if errors.Is(err, errTorn) && len(c.ledgers) > 0 {
		c.cfg.Log.Warn("devchain: dropping a ledger that was being written when the process died",
			slog.Int64("bytes", info.Size()-r.at))
		if err = file.Truncate(r.at); err == nil {
			err = file.Sync()
		}
	}
	if err == nil && len(c.ledgers) == 0 {
		err = fmt.Errorf("%w: it holds no ledger", ErrCorrupt)
	}
	if err == nil {
		_, err = file.Seek(r.at, io.SeekStart)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("devchain: restoring %s: %w", file.Name(), err), file.Close())
	}
	c.log.file, c.log.size, c.log.base = file, r.at, min(r.at, compactAt)
	return nil
}

func (c *Chain) readFrames(r *frameReader) error {
	payload, err := r.next()
	if err != nil {
		return err
	}
	if err := c.readIdentity(payload); err != nil {
		return err
	}
	for {
		at := r.at
		payload, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = c.readFrame(payload)
		}
		if err != nil {
			if errors.Is(err, errTorn) || errors.Is(err, ErrCorrupt) {
				return err
			}
			return fmt.Errorf("%w: frame at byte %d: %w", ErrCorrupt, at, err)
		}
	}
}

func (c *Chain) readIdentity(payload []byte) error {
	var id identity
	if len(payload) == 0 || payload[0] != frameIdentity || json.Unmarshal(payload[1:], &id) != nil {
		return fmt.Errorf("%w: it does not start with the chain's identity", ErrCorrupt)
	}
	if id.Format != logFormat {
		return fmt.Errorf("the log has format %d, this program reads %d: use another data directory", id.Format, logFormat)
	}
	if c.cfg.Passphrase != "" && c.cfg.Passphrase != id.Passphrase {
		return fmt.Errorf("the data directory belongs to the network %q, not %q", id.Passphrase, c.cfg.Passphrase)
	}
	if id.Admin != c.cfg.Admin {
		return fmt.Errorf("the data directory's chain has the admin %s, not %s", id.Admin, c.cfg.Admin)
	}
	c.cfg.Passphrase = id.Passphrase
	c.clear()
	return c.identify()
}

func (c *Chain) readFrame(payload []byte) error {
	if len(payload) == 0 {
		return errors.New("empty")
	}
	kind, body := payload[0], payload[1:]
	if kind == frameEntries {
		return c.readEntries(body)
	}
	var meta xdr.LedgerCloseMetaV2
	switch kind {
	case frameKnown, frameLedger:
		if err := xdr.SafeUnmarshal(body, &meta); err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
	case frameKnownNil, frameEmpty:
		at, n := binary.Uvarint(body)
		if n != len(body) || len(c.ledgers) == 0 {
			return errors.New("malformed empty ledger")
		}
		var err error
		if meta, err = emptyMeta(c.head(), at); err != nil {
			return err
		}
	default:
		return fmt.Errorf("unknown kind %q", kind)
	}
	return c.readLedger(meta, kind == frameLedger || kind == frameEmpty)
}

func (c *Chain) readEntries(body []byte) error {
	layer, r := newRestoreLayer(), bytes.NewReader(body)
	for r.Len() > 0 {
		e := new(xdr.LedgerEntry)
		if _, err := xdr.Unmarshal(r, e); err != nil {
			return fmt.Errorf("entries: %w", err)
		}
		if err := layer.Restore(e); err != nil {
			return err
		}
	}
	c.store.Load(layer.Writes())
	return nil
}

// readLedger follows the chain of hashes, then applies the ledger unless the entries contain it.
func (c *Chain) readLedger(meta xdr.LedgerCloseMetaV2, apply bool) error {
	l, err := ingest(meta, c.cfg.Passphrase)
	if err != nil {
		return err
	}
	if len(c.ledgers) > 0 && (l.seq() != c.head().seq()+1 || l.header.PreviousLedgerHash != c.head().hash) {
		return fmt.Errorf("ledger %d does not follow ledger %d", l.seq(), c.head().seq())
	}
	if apply {
		layer, err := replay(meta, c.store)
		if err != nil {
			return err
		}
		c.store.Expired(l.seq() - 1)
		c.store.Apply(l.seq(), layer.Writes())
	} else {
		c.store.Rebase(l.seq())
	}
	c.admit(l)
	return nil
}
