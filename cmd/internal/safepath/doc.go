// Package safepath opens files for output, and files that tell a command what to do.
// Another user who can write to a directory on the path cannot redirect the output, nor
// replace what is read.
//
// In the middle of a path it follows a symbolic link only if root or the caller made
// it. That is the kernel's rule for sticky directories (fs.protected_symlinks), applied
// everywhere and whatever the sysctl says. It never follows a link at the end of a
// path. It checks the opened file, not the name before the open.
package safepath
