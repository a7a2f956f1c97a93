package command

import "testing"

func TestAccountOf(t *testing.T) {
	lookup := func(name string) (uint32, bool) { return 7, name == "somebody" }
	for s, want := range map[string]uint32{"0": 0, "4294967294": 4294967294, "somebody": 7} {
		if got, err := accountOf(s, "user", lookup); got != want || err != nil {
			t.Errorf("%s: %d, %v, want %d", s, got, err, want)
		}
	}
	for s, want := range map[string]string{
		"nobody":              `there is no user "nobody"`,
		"":                    `there is no user ""`,
		"-1":                  "user id -1 is not between 0 and 4294967294",
		"4294967295":          "user id 4294967295 is not between 0 and 4294967294",
		"9223372036854775807": "user id 9223372036854775807 is not between 0 and 4294967294",
	} {
		if got, err := accountOf(s, "user", lookup); err == nil || err.Error() != want {
			t.Errorf("%q: %d, %v, want %s", s, got, err, want)
		}
	}
}
