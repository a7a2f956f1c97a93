package hosts

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for _, host := range []string{
		"web1", "web-1.example.com", "root@web1", `CORP\eva@web1`, "eva@corp.example@web1", "192.0.2.7", "fe80::1%eth0",
		"ssh://web1", "ssh://root@web1:2222", "ssh://[::1]:22", "db_1",
	} {
		if err := Check(host); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, host := range []string{
		"", "-oProxyCommand=reboot", "root@-oProxyCommand=reboot", "-l@web1", "@web1", "root@", "web 1", "web1;reboot", "$(reboot)",
		"`reboot`", "web1\n", "web1\x1b[31m", "wéb1", "a/b", "http://web1", "ssh://", "ssh://-x", "[::1]", "a,b", "a'b", `a"b`, "a|b", "a&b", "a b@c", "*",
	} {
		if Check(host) == nil {
			t.Errorf("%q is accepted", host)
		}
	}
}

func TestReadList(t *testing.T) {
	list, err := ReadList(strings.NewReader("# all\nweb1\n\n  web2  # in the cellar\r\nssh://root@web3:22\nweb1"))
	if want := []string{"web1", "web2", "ssh://root@web3:22", "web1"}; err != nil || !slices.Equal(list, want) {
		t.Errorf("%q, %v, want %q", list, err, want)
	}
	if unique := Unique(list); !slices.Equal(unique, list[:3]) {
		t.Errorf("unique: %q", unique)
	}
	for text, want := range map[string]string{
		"web1\nweb2 web3\n":                 `line 2: "web2 web3" is not one host`,
		"[web]\nweb1\n":                     `line 1: "[web]" is no host: want [USER@]HOST or ssh://[USER@]HOST[:PORT]`,
		"web1\n-x\n":                        `line 2: "-x" is no host: ssh would take it for a flag`,
		strings.Repeat("web1\n", 1<<20/5+1): "the list of hosts is longer than 1 MiB",
		strings.Repeat("a", 1<<20+1):        "the list of hosts is longer than 1 MiB",
	} {
		if _, err := ReadList(strings.NewReader(text)); err == nil || err.Error() != want {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
}

func TestSplit(t *testing.T) {
	for text, want := range map[string][]string{
		"ssh":              {"ssh"},
		" ssh  -p 22\t":    {"ssh", "-p", "22"},
		`ssh -o 'a b' -v`:  {"ssh", "-o", "a b", "-v"},
		`a"b 'c'"d ''`:     {"ab 'c'd", ""},
		`sudo -n '/a b/c'`: {"sudo", "-n", "/a b/c"},
	} {
		if words, err := Split(text); err != nil || !slices.Equal(words, want) {
			t.Errorf("%q: %q, %v, want %q", text, words, err, want)
		}
	}
	for _, text := range []string{"", "  ", "''", "ssh 'a", `"`} {
		if words, err := Split(text); err == nil {
			t.Errorf("%q: %q", text, words)
		}
	}
}

// TestQuote checks that a shell reads quoted words unchanged.
func TestQuote(t *testing.T) {
	words := []string{"a", "", "a b", "'", `"$HOME"`, "$(reboot)", "`reboot`", "~", "*", "a\nb", `\`, `\'`, "-x", "a=b", "ü\xff", "!x", "#", ";&|<>(){}[]"}
	out, err := exec.Command("sh", "-c", "printf '%s\\0' "+Quote(words)).Output()
	if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); err != nil || !slices.Equal(got, words) {
		t.Errorf("%v\n%q, want\n%q", err, got, words)
	}
}

func FuzzReadList(f *testing.F) {
	f.Add("web1 # x\n\nssh://a@b:1\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ReadList(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, host := range list {
			if strings.HasPrefix(host, "-") || strings.ContainsAny(host, " \t\r\n'\"$;&|<>(){}`#") || Check(host) != nil {
				t.Errorf("%q is accepted", host)
			}
		}
	})
}

// FuzzSplit quotes the words that Split returns. Split must return the same words for that.
func FuzzSplit(f *testing.F) {
	f.Add(`ssh -o "a 'b" ''`)
	f.Fuzz(func(t *testing.T, text string) {
		words, err := Split(text)
		if err != nil || slices.ContainsFunc(words, func(w string) bool { return strings.Contains(w, "'") }) {
			return
		}
		if again, err := Split(Quote(words)); err != nil || !slices.Equal(again, words) {
			t.Errorf("%q: %q, then %q, %v", text, words, again, err)
		}
	})
}
