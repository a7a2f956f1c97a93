package integration_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestRooms compares the packages that ARCHITECTURE.md names under internal and cmd/internal
// with the directories there.
func TestRooms(t *testing.T) {
	text, err := os.ReadFile("../ARCHITECTURE.md")
	check(t, err)
	_, house, _ := strings.Cut(string(text), "## The house\n")
	_, house, _ = strings.Cut(house, "```\n")
	house, _, ok := strings.Cut(house, "```\n")
	if !ok {
		t.Fatal("ARCHITECTURE.md has no listing of the house")
	}
	for root, indent := range map[string]string{"internal": "  ", "cmd/internal": "    "} {
		want(t, "rooms of "+root, rooms(house, root, indent), directories(t, filepath.Join("..", root)))
	}
}

// rooms returns the names that the listing has under root, sorted. Their lines begin with
// indent; a description, if any, follows after two spaces.
func rooms(house, root, indent string) (names []string) {
	inside := false
	for line := range strings.Lines(house) {
		if !strings.HasPrefix(line, " ") {
			inside = strings.HasPrefix(line, root+"/")
			continue
		}
		if rest, ok := strings.CutPrefix(line, indent); inside && ok {
			list, _, _ := strings.Cut(rest, "  ")
			names = append(names, strings.Fields(list)...)
		}
	}
	slices.Sort(names)
	return names
}

func directories(t *testing.T, root string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(root)
	check(t, err)
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}
