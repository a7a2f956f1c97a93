package programs_test

import "testing"

func writeTable(t *testing.T, file string, programs []program, results []*result) {}
