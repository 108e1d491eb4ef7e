package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// load is what a run of clients against one server measured.
type load struct {
	perSecond     float64
	p50, p99, max time.Duration
}

// run lets clients send the request over and over, each on a connection of its
// own, for so long. The clients read no more of an answer than they must, so
// that the servers get the processors.
func run(ctx context.Context, addr, request string, clients int, d time.Duration) (load, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		all  []time.Duration
		errs []error
	)
	start := time.Now()
	for range clients {
		wg.Go(func() {
			took, err := client(ctx, addr, request)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			errs = append(errs, err)
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	if err := errors.Join(errs...); err != nil {
		return load{}, err
	}
	if len(all) == 0 {
		return load{}, errors.New("no answer at all")
	}
	slices.Sort(all)
	return load{
		perSecond: float64(len(all)) / elapsed.Seconds(),
		p50:       all[len(all)/2], p99: all[len(all)*99/100], max: all[len(all)-1],
	}, nil
}

// answerTimeout bounds the wait for one answer: 32 clients of a real cinder-api
// wait for half a minute each for 5,000 services.
const answerTimeout = 3 * time.Minute

func client(ctx context.Context, addr, request string) ([]time.Duration, error) {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	r := bufio.NewReaderSize(conn, 256<<10)
	var took []time.Duration
	for ctx.Err() == nil {
		start := time.Now()
		if err := conn.SetDeadline(start.Add(answerTimeout)); err != nil {
			return nil, err
		}
		if _, err := conn.Write([]byte(request)); err != nil {
			return nil, err
		}
		if err := readAnswer(r); err != nil {
			return nil, err
		}
		took = append(took, time.Since(start))
	}
	return took, nil
}

// readAnswer reads one answer with status 200 and a known length.
func readAnswer(r *bufio.Reader) error {
	status, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200")) {
		return fmt.Errorf("answer %q", bytes.TrimSpace(status))
	}
	length := -1
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			break
		}
		if name, value, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("an answer without Content-Length")
	}
	_, err = r.Discard(length)
	return err
}
