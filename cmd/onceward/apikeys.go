package main

import (
	"fmt"
	"io"
	"time"

	"github.com/onceward/onceward/cmd/onceward/internal/auth"
)

type apikeysCommand struct {
	Create apikeysCreate `cmd:"" help:"Make an API key. It is shown once and cannot be shown again."`
	List   apikeysList   `cmd:"" help:"List API keys: what is known of them, never the keys."`
	Revoke apikeysRevoke `cmd:"" help:"End an API key. Gateways that remember it go on for 10 s at most."`
}

// Help is shown by --help.
func (apikeysCommand) Help() string {
	return teach(`A key speaks for a principal, whose operations have the scope key:PRINCIPAL. Only its hash is kept, in the store
itself, so that all gateways know the same keys.`,
		`docs/auth.md says how routes ask for keys.`,
		`onceward apikeys create --store sqlite:onceward.db acme --note "till 7" --expires 2160h --reason "new till"`,
		`onceward apikeys list --store sqlite:onceward.db`)
}

func (d *desk) book() (*auth.Book, error) { return auth.NewBook(d.raw, auth.BookConfig{}) }

type apikeysCreate struct {
	storeFlags
	outputFlags
	changeFlags

	Principal string        `arg:"" help:"Whom the key speaks for; its keys have the scope key:PRINCIPAL."`
	Note      string        `env:"-" help:"What the key is for."`
	Expires   time.Duration `env:"-" placeholder:"DURATION" help:"How long it is valid, for example 2160h. Without: until it is revoked."`
}

// Help is shown by --help.
func (apikeysCreate) Help() string {
	return teach(`Several keys may speak for one principal: make the new one before you revoke the old one, and no request fails.`,
		`send it as "Authorization: Bearer TOKEN" or "X-Api-Key: TOKEN". Gateways know it at once.`,
		`onceward apikeys create --store sqlite:onceward.db acme --note "till 7" --expires 2160h --reason "new till"`)
}

// Run implements the command.
func (c *apikeysCreate) Run(p *process) error {
	return c.with(p, c.Actor, false, func(d *desk) error {
		b, err := d.book()
		if err != nil {
			return err
		}
		var created struct {
			auth.APIKey

			Token string `json:"token"`
		}
		err = d.Audited(p.ctx, "apikeys create", c.Principal, c.Reason, func() (string, error) {
			token, key, err := b.Create(p.ctx, auth.NewKey{Principal: c.Principal, Note: c.Note, TTL: c.Expires})
			created.APIKey, created.Token = key, string(token.Reveal()) // this once: it is what was asked for
			return key.ID, err
		})
		if err != nil {
			return err
		}
		return c.show(p, created, func(w io.Writer) {
			row(w, "id", created.ID)
			row(w, "principal", created.Principal)
			row(w, "expires", when(created.ExpiresAt))
			row(w, "token", created.Token)
			fmt.Fprintln(w, "\nThe token is not kept: copy it now. Send it as \"Authorization: Bearer TOKEN\".")
		})
	})
}

type apikeysList struct {
	storeFlags
	outputFlags
	pageFlags
}

// Help is shown by --help.
func (apikeysList) Help() string {
	return teach(`Shows the ID, principal, note and times of each key, also of those that are revoked or expired. The list goes on
where --cursor says.`,
		`onceward apikeys revoke, with an ID of the list.`,
		`onceward apikeys list --store sqlite:onceward.db`,
		`onceward apikeys list --store sqlite:onceward.db --limit 1000 -o json`)
}

// Run implements the command.
func (c *apikeysList) Run(p *process) error {
	if err := c.check(); err != nil {
		return err
	}
	return c.with(p, "", false, func(d *desk) error {
		b, err := d.book()
		if err != nil {
			return err
		}
		keys, next, err := b.List(p.ctx, c.Cursor, c.Limit)
		if err != nil {
			return err
		}
		page := struct {
			Keys []auth.APIKey `json:"api_keys"`
			Next string        `json:"next,omitempty"`
		}{append([]auth.APIKey{}, keys...), next}
		return c.show(p, page, func(w io.Writer) {
			row(w, "ID", "PRINCIPAL", "CREATED", "EXPIRES", "REVOKED", "NOTE")
			for _, k := range keys {
				row(w, k.ID, k.Principal, when(k.CreatedAt), when(k.ExpiresAt), when(k.RevokedAt), dash(k.Note))
			}
			more(w, next)
		})
	})
}

type apikeysRevoke struct {
	storeFlags
	outputFlags
	changeFlags

	ID string `arg:"" help:"ID of the key: the part of it between the underscores."`
}

// Help is shown by --help.
func (apikeysRevoke) Help() string {
	return teach(`The ID is the second part of a key, owk_ID_SECRET, so that one that was found somewhere can be revoked. Operations
that the key has begun go on.`,
		`give the principal a new one with onceward apikeys create, if it is to go on.`,
		`onceward apikeys revoke --store sqlite:onceward.db bpcl5adfcbp2mo5d --reason "till was stolen"`)
}

// Run implements the command.
func (c *apikeysRevoke) Run(p *process) error {
	return c.with(p, c.Actor, false, func(d *desk) error {
		b, err := d.book()
		if err != nil {
			return err
		}
		var key auth.APIKey
		err = d.Audited(p.ctx, "apikeys revoke", c.ID, c.Reason, func() (_ string, err error) {
			key, err = b.Revoke(p.ctx, c.ID)
			return key.Principal, err
		})
		if err != nil {
			return err
		}
		return c.show(p, key, func(w io.Writer) { row(w, key.ID, "revoked", when(key.RevokedAt)) })
	})
}
