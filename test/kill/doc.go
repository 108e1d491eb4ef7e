// Package kill kills the built program at every step of a change, and at random under
// load, and takes disk space and power away from it, to check that nothing is left half
// done. The only code of the product that it uses is the names of the failpoints.
package kill
