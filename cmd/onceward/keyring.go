package main

import (
	"fmt"
	"io"

	"github.com/onceward/onceward/cmd/onceward/internal/seal"
)

type keyringCommand struct {
	Create  keyringCreate  `cmd:"" help:"Make a keyring file for encryption at rest. Back it up: without it nothing can be read."`
	List    keyringList    `cmd:"" help:"List the keys of a keyring file, never the keys themselves."`
	Add     keyringAdd     `cmd:"" help:"Add a key that only unwraps yet. Then give the file to every gateway."`
	Promote keyringPromote `cmd:"" help:"Make a key the one that wraps, once every gateway has it."`
	Remove  keyringRemove  `cmd:"" help:"Remove a key that wraps nothing in the store any more."`
	Rewrap  keyringRewrap  `cmd:"" help:"Wrap all data keys of a store with the primary key."`
	Forget  keyringForget  `cmd:"" help:"Destroy the data key of a scope: what its operations have left becomes unreadable."`
}

// Help is shown by --help.
func (keyringCommand) Help() string {
	return teach(`The keys of the file wrap the data keys in the store, and those encrypt what operations leave there. To rotate: add, give
the file to every gateway, promote, give it to them again, rewrap, remove.`,
		`docs/encryption.md says what is encrypted and how it is switched on.`,
		`onceward keyring create onceward.keyring`,
		`onceward keyring list onceward.keyring`)
}

type keyringFile struct {
	File string `arg:"" type:"path" help:"The keyring file."`
}

type keyringCreate struct{ keyringFile }

// Help is shown by --help.
func (keyringCreate) Help() string {
	return teach(`The file is for its owner alone (0600). One that exists is not written over. It is a Tink keyset in JSON.`,
		`keep a copy apart from the database, name the file in encryption.keyring_file of onceward.yaml, and start the gateways.`,
		`onceward keyring create onceward.keyring`)
}

// Run implements the command.
func (c *keyringCreate) Run(p *process) error {
	k, err := seal.NewKeyring()
	if err == nil {
		err = k.WriteFile(c.File, false)
	}
	if err == nil {
		_, err = fmt.Fprintf(p.stdout, "key %d in %s\n", k.Primary(), c.File)
	}
	return err
}

type keyringList struct {
	outputFlags
	keyringFile
}

// Help is shown by --help.
func (keyringList) Help() string {
	return teach(`One key wraps and unwraps; the others only unwrap what was wrapped before.`,
		`onceward keyring add begins a rotation.`,
		`onceward keyring list onceward.keyring`)
}

// Run implements the command.
func (c *keyringList) Run(p *process) error {
	k, err := seal.ReadKeyring(c.File)
	if err != nil {
		return err
	}
	type keyView struct {
		ID      uint32 `json:"id"`
		Primary bool   `json:"primary"`
	}
	var keys []keyView
	for _, key := range k.Keys() {
		keys = append(keys, keyView(key))
	}
	return c.show(p, map[string]any{"keys": keys}, func(w io.Writer) {
		row(w, "ID", "USE")
		for _, key := range keys {
			use := "unwraps"
			if key.Primary {
				use = "wraps and unwraps"
			}
			row(w, key.ID, use)
		}
	})
}

// edit changes a keyring file.
func (c *keyringFile) edit(change func(*seal.Keyring) (*seal.Keyring, error)) error {
	k, err := seal.ReadKeyring(c.File)
	if err != nil {
		return err
	}
	if k, err = change(k); err != nil {
		return err
	}
	return k.WriteFile(c.File, true)
}

type keyringAdd struct{ keyringFile }

// Help is shown by --help.
func (keyringAdd) Help() string {
	return teach(`The first step of a rotation. The new key wraps nothing yet, so that no gateway meets what it cannot unwrap.`,
		`give the file to every gateway and send each SIGHUP, then onceward keyring promote.`,
		`onceward keyring add onceward.keyring`)
}

// Run implements the command.
func (c *keyringAdd) Run(p *process) error {
	var id uint32
	err := c.edit(func(k *seal.Keyring) (next *seal.Keyring, err error) {
		next, id, err = k.Add()
		return next, err
	})
	if err == nil {
		_, err = fmt.Fprintf(p.stdout, "key %d; promote it once every gateway has read the file\n", id)
	}
	return err
}

type keyringPromote struct {
	keyringFile

	ID uint32 `arg:"" help:"ID of the key."`
}

// Help is shown by --help.
func (keyringPromote) Help() string {
	return teach(`The second step of a rotation, once every gateway has read the file with the new key. The others go on unwrapping.`,
		`give the file to every gateway and send each SIGHUP, then onceward keyring rewrap.`,
		`onceward keyring promote onceward.keyring 3190285534`)
}

// Run implements the command.
func (c *keyringPromote) Run(*process) error {
	return c.edit(func(k *seal.Keyring) (*seal.Keyring, error) { return k.Promote(c.ID) })
}

// keyringStore is a command on a store and its keyring.
type keyringStore struct {
	storeFlags
	outputFlags
	changeFlags
}

// sealed opens the store, which must be encrypted.
func (c *keyringStore) sealed(p *process, run func(*desk) error) error {
	if c.Keyring == "" {
		return usagef("name the keyring of the store with --keyring")
	}
	return c.with(p, c.Actor, true, run)
}

type keyringRemove struct {
	keyringStore

	ID uint32 `arg:"" help:"ID of the key."`
}

// Help is shown by --help.
func (keyringRemove) Help() string {
	return teach(`The last step of a rotation. A key that is still needed is refused. Backups of the database from before need the
old file.`,
		`give the file to every gateway and send each SIGHUP; destroy the copies of the old key.`,
		`onceward keyring remove 2417091356 --store sqlite:onceward.db --keyring onceward.keyring --reason "yearly rotation"`)
}

// Run implements the command.
func (c *keyringRemove) Run(p *process) error {
	return c.sealed(p, func(d *desk) error {
		used, err := d.sealed.InUse(p.ctx)
		if err != nil {
			return err
		}
		if n := used[c.ID]; n > 0 {
			return fmt.Errorf("key %d still wraps %d data keys; promote another and run: onceward keyring rewrap", c.ID, n)
		}
		file := keyringFile{File: c.Keyring}
		return d.Audited(p.ctx, "keyring remove", fmt.Sprint(c.ID), c.Reason, func() (string, error) {
			return "", file.edit(func(k *seal.Keyring) (*seal.Keyring, error) { return k.Remove(c.ID) })
		})
	})
}

type keyringRewrap struct{ keyringStore }

// Help is shown by --help.
func (keyringRewrap) Help() string {
	return teach(`The third step of a rotation. No record is touched, and gateways go on. It can be repeated.`,
		`onceward keyring remove, with the ID of the old key.`,
		`onceward keyring rewrap --store sqlite:onceward.db --keyring onceward.keyring --reason "yearly rotation"`)
}

// Run implements the command.
func (c *keyringRewrap) Run(p *process) error {
	return c.sealed(p, func(d *desk) error {
		var n int
		err := d.Audited(p.ctx, "keyring rewrap", "", c.Reason, func() (_ string, err error) {
			n, err = d.sealed.Rewrap(p.ctx)
			return fmt.Sprintf("%d data keys", n), err
		})
		if err != nil {
			return err
		}
		return c.show(p, map[string]int{"rewrapped": n}, func(w io.Writer) { row(w, "rewrapped", n) })
	})
}

type keyringForget struct {
	keyringStore

	Scope string `arg:"" help:"The scope, as keys list shows it."`
	Force bool   `env:"-" help:"Also when operations of the scope are not final. What they had begun can then not be found out any more."`
}

// Help is shown by --help.
func (keyringForget) Help() string {
	return teach(`Completed operations of the scope stay final: a retry is not executed and gets 409 response-unavailable. This cannot be undone,
except with a backup and the keys of its time.`,
		`backups still have the wrapped key: rotate the keyring and destroy the old key, too.`,
		`onceward keyring forget key:acme --store sqlite:onceward.db --keyring onceward.keyring --reason "contract ended"`)
}

// Run implements the command.
func (c *keyringForget) Run(p *process) error {
	return c.sealed(p, func(d *desk) error {
		unfinished, err := d.Unfinished(p.ctx, c.Scope)
		if err != nil {
			return err
		}
		if unfinished && !c.Force {
			return fmt.Errorf("operations of this scope are not final; decide them first (onceward keys list --scope %q), or use --force", c.Scope)
		}
		var done bool
		err = d.Audited(p.ctx, "keyring forget", c.Scope, c.Reason, func() (_ string, err error) {
			done, err = d.sealed.Destroy(p.ctx, c.Scope)
			return fmt.Sprintf("there was a key: %v", done), err
		})
		if err == nil && !done {
			err = fmt.Errorf("the scope %q has no data key: it has left nothing, or was forgotten before", c.Scope)
		}
		if err != nil {
			return err
		}
		return c.show(p, map[string]string{"forgotten": c.Scope}, func(w io.Writer) { row(w, "forgotten", c.Scope) })
	})
}
