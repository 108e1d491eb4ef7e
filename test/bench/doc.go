// Command bench measures lists over loopback: Stoker's API beside a bare
// net/http handler that writes the same bytes, in turns, with the same clients.
//
// It builds the program, fills a SQLite database with so many services, starts
// `stoker api` on it, and prints a table: requests a second (the median of the
// rounds), latencies, the ratio of the two, resident memory, the time from start to the
// first answer. The figures of doc/performance.md come from it.
package main
