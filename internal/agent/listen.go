package agent

import (
	"context"

	"stoker/internal/cinder"
)

// listen starts serving commands. KindUnavailable when the bus is away.
func (s *service) listen(ctx context.Context) (Server, error) {
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	server, err := s.role.serve(ctx)
	if err != nil && ctx.Err() != nil {
		err = cinder.Wrap(cinder.KindUnavailable, err, "The bus does not answer.")
	}
	return server, err
}

// listenLate starts serving commands when Start could not.
func (s *service) listenLate(ctx context.Context) {
	s.lifeMu.Lock()
	waiting := !s.listens && s.cancel != nil
	s.lifeMu.Unlock()
	if !waiting {
		return
	}
	server, err := s.listen(ctx)
	if err != nil {
		if cinder.KindOf(err) != cinder.KindUnavailable {
			s.log.Error("commands cannot be served", "error", err)
		}
		return
	}
	s.lifeMu.Lock()
	stopped := s.cancel == nil
	if !stopped {
		s.server, s.listens = server, true
	}
	s.lifeMu.Unlock()
	if stopped {
		if server != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), busTimeout)
			defer cancel()
			if err := server.Close(ctx); err != nil {
				s.log.Warn("command server could not be closed", "error", err)
			}
		}
		return
	}
	s.log.Info("message bus connected; serving commands")
	s.announce(ctx)
}
