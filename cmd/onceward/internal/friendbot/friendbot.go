// Package friendbot asks a development network for accounts. Public networks
// have no friendbot, and nothing here works on them.
package friendbot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// maxAnswer bounds what is read of an answer, which says nothing of use.
const maxAnswer = 1 << 20

// Fund has the friendbot at target create an account. ctx bounds the wait.
func Fund(ctx context.Context, target, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target+"?addr="+url.QueryEscape(address), http.NoBody)
	if err != nil {
		return fmt.Errorf("friendbot: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("friendbot: %w", err)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer))
	err = errors.Join(err, res.Body.Close())
	if res.StatusCode != http.StatusOK {
		return errors.Join(fmt.Errorf("friendbot answered %s", res.Status), err)
	}
	return err
}
