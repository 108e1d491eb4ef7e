package control

import (
	"context"
	"fmt"

	"stoker/internal/cinder"
)

// Operations lists a page of those of the journal that q selects, the newest
// first. KindNotFound when q's marker is no operation.
func (c *Control) Operations(ctx context.Context, q cinder.OperationQuery) (cinder.OperationPage, error) {
	page, err := c.o.Store.OperationPage(ctx, q)
	if err != nil {
		return cinder.OperationPage{}, fmt.Errorf("list operations: %w", err)
	}
	return page, nil
}

// Operation returns one of the journal; KindNotFound when there is none of that id.
func (c *Control) Operation(ctx context.Context, id string) (cinder.Operation, error) {
	op, err := c.o.Store.Operation(ctx, id)
	if err != nil {
		return cinder.Operation{}, fmt.Errorf("show operation: %w", err)
	}
	return op, nil
}
