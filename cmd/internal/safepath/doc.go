// Package safepath opens the files that a command writes to, so that another user who
// can write to a directory on the way does not choose where the output goes.
//
// It follows a symbolic link in the middle of a path only if root or the caller made
// it, as the kernel does in sticky directories (fs.protected_symlinks), but everywhere
// and whatever that sysctl says. It never follows one at the end, and looks at what it
// has opened rather than at what had the name before.
package safepath
