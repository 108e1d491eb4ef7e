// Package kill kills the built program at every step of a change, and at random
// under load, and takes disk and power away from it, to see that nothing is left
// half done. It holds no code of the product but the names of the points at which
// the program kills itself.
package kill
