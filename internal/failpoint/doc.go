// Package failpoint marks the places at which tests kill the program, to examine the
// state that it leaves behind.
//
// In a released program Here is an empty function. Built with -tags failpoints, a
// process that reaches a point looks for a file with the point's name in the directory
// $STOKER_FAILPOINTS. The one process that manages to rename the file kills itself. So
// a test arms a point while the program runs:
//
//	os.WriteFile(filepath.Join(dir, string(failpoint.Recorded)), nil, 0o600)
//
// The process renames the file to NAME.PID before it dies.
package failpoint
