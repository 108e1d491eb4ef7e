// Package failpoint marks the places at which tests kill the program, so that
// what is left behind there can be seen.
//
// A released program has none of it: Here is an empty function. Built with
// -tags failpoints, a process that comes to a point looks for a file of the
// point's name in the directory that STOKER_FAILPOINTS names. Whoever gets hold
// of the file, one process of all, kills itself. So a test arms a point while
// the program runs:
//
//	os.WriteFile(filepath.Join(dir, string(failpoint.Recorded)), nil, 0o600)
//
// The file is renamed to NAME.PID by the process that is about to die.
package failpoint
