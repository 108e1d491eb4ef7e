package agent

import (
	"context"

	"stoker/internal/cinder"
)

// listen starts to take commands. KindUnavailable when the bus is away.
func (s *service) listen(ctx context.Context) (Server, error) {
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	server, err := s.role.serve(ctx)
	if err != nil && ctx.Err() != nil {
		err = cinder.Wrap(cinder.KindUnavailable, err, "The bus does not answer.")
	}
	return server, err
}

// listenLate starts to take commands when that was not possible at the start.
func (s *service) listenLate(ctx context.Context) {
	s.life.Lock()
	waits := !s.listens && s.cancel != nil
	s.life.Unlock()
	if !waits {
		return
	}
	server, err := s.listen(ctx)
	if err != nil {
		if cinder.KindOf(err) != cinder.KindUnavailable {
			s.log.Error("Commands cannot be taken.", "error", err)
		}
		return
	}
	s.life.Lock()
	stopped := s.cancel == nil
	if !stopped {
		s.server, s.listens = server, true
	}
	s.life.Unlock()
	if stopped {
		if server != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), busTimeout)
			defer cancel()
			if err := server.Close(ctx); err != nil {
				s.log.Warn("What was just begun could not be ended.", "error", err)
			}
		}
		return
	}
	s.log.Info("The bus is there: commands are taken.")
	s.tell(ctx)
}
