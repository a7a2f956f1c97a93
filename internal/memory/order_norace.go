//go:build !race

package memory

const withRace = false
