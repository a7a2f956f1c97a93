//go:build !linux

package removal

func opened(string) (is, known bool) { return false, false }
