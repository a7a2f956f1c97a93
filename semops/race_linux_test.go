//go:build race

package semops_test

const raceEnabled = true
