package postgres

import (
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/internal/codec"
)

// claimColumns are the parameters of claim.sql.
type claimColumns struct {
	ids, owners                 []pgtype.UUID
	scopes, keys, kinds, policy []string
	tokens, seqs, retentions    []int64
	fingerprints, details       [][]byte
	claimed, leases, expiries   []time.Time
}

func (c *claimColumns) add(o *op) {
	r := &o.claim
	c.ids, c.owners = append(c.ids, pgUUID(o.id)), append(c.owners, pgUUID(r.Owner))
	c.scopes, c.keys = append(c.scopes, r.Key.Scope), append(c.keys, r.Key.Value)
	c.kinds, c.policy = append(c.kinds, r.Kind), append(c.policy, string(r.Policy))
	c.tokens, c.seqs = append(c.tokens, r.Token), append(c.seqs, o.stamp)
	c.retentions = append(c.retentions, int64(r.Retention))
	c.fingerprints, c.details = append(c.fingerprints, r.Fingerprint), append(c.details, r.Detail)
	c.claimed, c.leases = append(c.claimed, r.Now), append(c.leases, r.LeaseUntil)
	c.expiries = append(c.expiries, r.ExpiresAt)
}

func (t *transaction) queueClaims(b *pgx.Batch, sql string, ops []*op) {
	var c claimColumns
	for _, o := range ops {
		c.add(o)
	}
	b.Queue(sql, t.bucket, c.ids, c.scopes, c.keys, c.tokens, c.owners, c.seqs, c.kinds, c.policy, c.fingerprints,
		c.retentions, c.details, c.claimed, c.leases, c.expiries).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := t.won(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// won reads one row that claim.sql returned.
func (t *transaction) won(rows pgx.Rows) error {
	var (
		id                               pgtype.UUID
		token                            int64
		attempt                          int
		kind, policy                     pgtype.Text
		retention                        pgtype.Int8
		fingerprint, detail, checkpoints []byte
		claimedAt, expiresAt             pgtype.Timestamptz
	)
	err := rows.Scan(&id, &token, &attempt, &kind, &policy, &retention, &fingerprint, &detail, &checkpoints, &claimedAt, &expiresAt)
	if err != nil {
		return err
	}
	o := t.byID[id.Bytes]
	r := &o.claim
	rec := onceward.Record{
		Key: r.Key, Status: onceward.StatusStarted, Token: token, Owner: r.Owner, Attempt: attempt,
		Kind: r.Kind, Policy: r.Policy, Retention: r.Retention, Fingerprint: r.Fingerprint, Detail: r.Detail,
		ClaimedAt: cut(r.Now), LeaseUntil: cut(r.LeaseUntil), ExpiresAt: cut(r.ExpiresAt),
	}
	if attempt > 1 {
		rec.Kind, rec.Policy, rec.Retention = kind.String, onceward.CrashPolicy(policy.String), time.Duration(retention.Int64)
		rec.Fingerprint, rec.Detail = fingerprint, detail
		rec.ClaimedAt, rec.ExpiresAt = claimedAt.Time.UTC(), expiresAt.Time.UTC()
		if rec.Checkpoints, err = codec.DecodeCheckpoints(checkpoints); err != nil {
			return damaged(o.id, err)
		}
	}
	o.done, o.rec = true, row{Record: rec, id: o.id}
	return nil
}
