// Package cli is the stoker command: its verbs, flags, help and exit statuses.
//
// A verb is a struct in a file of its own: its fields are its arguments and
// flags, and its Run does the work through the client or, for the verbs that
// run servers, through Deps. Nothing here knows how a server is put together,
// nor what a path of the API looks like.
//
// Exit statuses: 0, it worked; 1, it did not, and one line on standard error
// says why (one for each fault, when a configuration has several); 2, the
// command line makes no sense; 130, interrupted.
package cli
