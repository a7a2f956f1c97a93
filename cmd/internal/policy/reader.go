package policy

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/selection"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

// A reader turns the tables of a document into a Policy. It keeps the first error; after an
// error its results mean nothing.
type reader struct {
	*document
	names *account.Directory
	err   error
}

func (r *reader) failAt(at int, format string, args ...any) {
	if r.err == nil {
		r.err = r.fail(at, fmt.Sprintf(format, args...))
	}
}

// know reports the keys of t that are not among keys. Error messages call the table what.
func (r *reader) know(t *table, what string, keys ...string) {
	for i := range t.items {
		if k := &t.items[i]; !slices.Contains(keys, k.key) {
			r.failAt(k.at, "%s has no key %q; the keys are %s", what, k.key, strings.Join(keys, ", "))
		}
	}
}

func (r *reader) policy(t *table) *Policy {
	r.know(t, "a policy", "max-objects", "max-bytes", "log", "lock", "backup", "rule", "keep")
	p := &Policy{
		MaxObjects: r.count(t, "max-objects"), MaxBytes: r.size(t, "max-bytes"),
		Log: r.path(t, "log", Journal), Lock: r.path(t, "lock"),
	}
	if i := t.find("backup"); i != nil {
		p.Backup = r.backup(i)
	}
	for _, rule := range r.tables(t, "rule") {
		p.Rules = append(p.Rules, r.rule(rule, p.Rules))
	}
	for _, keep := range r.tables(t, "keep") {
		p.Keep = append(p.Keep, r.keep(keep))
	}
	if len(p.Rules) == 0 {
		r.failAt(0, "the policy has no [[rule]], so it would never remove anything")
	}
	return p
}

func (r *reader) backup(i *item) *Backup {
	if i.keys == nil {
		r.wrongType(i, "a table, [backup]")
		return nil
	}
	r.know(i.keys, "[backup]", "directory", "max-age", "max-size")
	b := &Backup{
		Directory: r.path(i.keys, "directory"),
		MaxAge:    r.duration(i.keys, "max-age"),
		MaxSize:   r.size(i.keys, "max-size"),
	}
	if b.Directory == "" {
		r.failAt(i.keys.at, "[backup] needs a directory")
	}
	return b
}

func (r *reader) rule(t *table, before []Rule) Rule {
	r.know(t, "a [[rule]]", "name", "select", "kinds", "idle", "older-than", "where", "owners", "except-owners", "with-messages", "ignore-hidden")
	rule := Rule{Name: r.name(t, before), WithMessages: r.flag(t, "with-messages"), IgnoreHidden: r.flag(t, "ignore-hidden")}
	add := func(c *selection.Condition) {
		if c != nil {
			rule.Selection = append(rule.Selection, c)
		}
	}
	chosen := r.selects(t)
	add(chosen)
	add(r.kinds(t))
	idle := t.find("idle") != nil
	add(r.longer(t, "idle", "idle"))
	add(r.longer(t, "older-than", "age"))
	add(r.where(t))
	add(r.owned(t, "owners", true))
	add(r.owned(t, "except-owners", false))
	switch what := t.find("ignore-hidden"); {
	case len(rule.Selection.Kinds()) == 0 && idle:
		r.failAt(t.at, "the rule removes nothing: no kind of object can meet all its conditions (POSIX objects have no idle time: use older-than)")
	case len(rule.Selection.Kinds()) == 0:
		r.failAt(t.at, "the rule removes nothing: no kind of object can meet all its conditions")
	case rule.IgnoreHidden && !slices.ContainsFunc(rule.Selection.Kinds(), func(k ref.Kind) bool { return !k.POSIX() }):
		r.failAt(what.at, "ignore-hidden is for System V objects: it needs an idle time, which POSIX objects do not have")
	case rule.IgnoreHidden && !idle:
		r.failAt(what.at, "ignore-hidden without idle would remove what a hidden process has just used; add an idle time")
	case chosen != nil && chosen.String() == "unused" && !idle:
		r.failAt(t.find("select").at, `select = "unused" without idle would remove what a program uses now and then; add an idle time`)
	}
	return rule
}

// name returns the name of a rule, which no earlier rule may have.
func (r *reader) name(t *table, before []Rule) string {
	i := t.find("name")
	name, ok := r.text(t, "name")
	switch {
	case i == nil:
		r.failAt(t.at, "the rule has no name, by which reports and the log call it")
	case ok && strings.TrimSpace(name) == "":
		r.failAt(i.value.at, "the name is empty")
	case slices.ContainsFunc(before, func(b Rule) bool { return b.Name == name }):
		r.failAt(i.value.at, "an earlier rule is called %q too", name)
	}
	return name
}

// selects returns the condition that select names.
func (r *reader) selects(t *table) *selection.Condition {
	const choices = `"orphans", "owner-gone" or "unused"`
	i := t.find("select")
	word, ok := r.text(t, "select")
	switch {
	case i == nil:
		r.failAt(t.at, "the rule has no select, so it could remove objects in use; write select = %s", choices)
	case !ok:
	case word == "orphans":
		return r.condition(i, "orphan")
	case word == "owner-gone":
		return r.condition(i, "owner_gone")
	case word == "unused":
		return r.condition(i, "unused")
	default:
		r.failAt(i.value.at, "select cannot be %q; it is one of %s", word, choices)
	}
	return nil
}

func (r *reader) kinds(t *table) *selection.Condition {
	var words []string
	for _, v := range r.texts(t, "kinds") {
		if _, err := selection.OfKinds(v.text); err != nil {
			r.failAt(v.at, "%v", err)
			return nil
		}
		words = append(words, v.text)
	}
	if len(words) == 0 {
		return nil
	}
	expr, _ := selection.OfKinds(words...) // each was checked
	return r.condition(t.find("kinds"), expr)
}

func (r *reader) longer(t *table, key, field string) *selection.Condition {
	if r.duration(t, key) == 0 {
		return nil
	}
	i := t.find(key)
	expr, err := selection.LongerThan(field, i.text)
	if err != nil {
		return nil // duration has reported the error
	}
	return r.condition(i, expr)
}

// where returns the condition that the user wrote as an expression.
func (r *reader) where(t *table) *selection.Condition {
	text, ok := r.text(t, "where")
	if !ok {
		return nil
	}
	i := t.find("where")
	c, err := selection.Parse(text)
	var wrong *selection.Error
	switch {
	case errors.As(err, &wrong) && wrong.At > 0:
		message := wrong.Message
		if wrong.Fields != "" {
			message += "; " + wrong.Fields
		}
		r.failAt(i.within(wrong.At), "where: %s", message)
	case err != nil:
		r.failAt(i.value.at, "where: %v", err)
	}
	return c
}

// owned returns the condition that one of the listed users owns an object, or none of
// them. It compares numbers, which stay right if a name can't be looked up later.
func (r *reader) owned(t *table, key string, want bool) *selection.Condition {
	var uids []string
	for _, v := range r.texts(t, key) {
		uid, err := r.user(v.text)
		if err != nil {
			r.failAt(v.at, "%v", err)
		}
		uids = append(uids, fmt.Sprintf("uid == %d", uid))
	}
	if len(uids) == 0 {
		return nil
	}
	expr := strings.Join(uids, " || ")
	if !want {
		expr = "!(" + expr + ")"
	}
	return r.condition(t.find(key), expr)
}

// user returns the uid for a name or a number.
func (r *reader) user(text string) (uint32, error) {
	if n, err := strconv.ParseUint(text, 10, 32); err == nil && n < math.MaxUint32 {
		return uint32(n), nil
	}
	uid, ok := r.names.UserID(text)
	if !ok {
		return 0, fmt.Errorf("there is no user %q", text)
	}
	return uid, nil
}

func (r *reader) keep(t *table) Keep {
	r.know(t, "a [[keep]]", "kinds", "key", "name", "owner", "where")
	var k Keep
	add := func(c *selection.Condition) {
		if c != nil {
			k.Selection = append(k.Selection, c)
		}
	}
	add(r.kinds(t))
	if text, ok := r.text(t, "key"); ok {
		expr, err := selection.WithKey(text)
		if err != nil {
			r.failAt(t.find("key").value.at, "%v", err)
		} else {
			add(r.condition(t.find("key"), expr))
		}
	}
	if name, ok := r.text(t, "name"); ok {
		if _, _, err := ref.ParseKind(ref.PShm.String() + ":" + name); err != nil || strings.Contains(name, "\x00") {
			r.failAt(t.find("name").value.at, "%q is no name of a POSIX object, such as /frames", name)
		}
		add(r.condition(t.find("name"), "name == "+strconv.Quote(name)))
	}
	if user, ok := r.text(t, "owner"); ok {
		uid, err := r.user(user)
		if err != nil {
			r.failAt(t.find("owner").value.at, "%v", err)
		}
		add(r.condition(t.find("owner"), fmt.Sprintf("uid == %d", uid)))
	}
	add(r.where(t))
	switch {
	case len(k.Selection) == 0:
		r.failAt(t.at, "[[keep]] says of no object that it is kept; give it a key, name, owner, where or kinds")
	case len(k.Selection.Kinds()) == 0:
		r.failAt(t.at, "[[keep]] protects nothing: no kind of object can meet all its conditions; write a [[keep]] for each kind")
	}
	return k
}

// condition parses an expression that the reader made of an item.
func (r *reader) condition(i *item, expr string) *selection.Condition {
	c, err := selection.Parse(expr)
	if err != nil {
		r.failAt(i.value.at, "%s: %v", i.key, err)
	}
	return c
}

// tables returns the tables of a list such as [[rule]].
func (r *reader) tables(t *table, key string) (list []*table) {
	i := t.find(key)
	if i == nil {
		return nil
	}
	if i.kind != unstable.Array {
		r.wrongType(i, "a list of tables, [["+key+"]]")
		return nil
	}
	for _, v := range i.list {
		if v.keys == nil {
			r.failAt(v.at, "%s is a list of tables, [[%s]]", key, key)
			return nil
		}
		list = append(list, v.keys)
	}
	return list
}

// wrongType says what the value of a key should be.
func (r *reader) wrongType(i *item, want string) {
	r.failAt(i.value.at, "%s must be %s, not %s", i.key, want, called(i.kind))
}

func called(k unstable.Kind) string {
	switch k {
	case unstable.String:
		return "a text"
	case unstable.Integer:
		return "a number"
	case unstable.Float:
		return "a number with a fraction"
	case unstable.Bool:
		return "true or false"
	case unstable.Array:
		return "a list"
	case unstable.InlineTable:
		return "a table"
	default:
		return "a date or time"
	}
}

func (r *reader) text(t *table, key string) (text string, ok bool) {
	i := t.find(key)
	if i == nil {
		return "", false
	}
	if i.kind != unstable.String {
		r.wrongType(i, "a text in quotes")
		return "", false
	}
	return i.text, true
}

// texts returns the texts of a list, which must not be empty.
func (r *reader) texts(t *table, key string) []value {
	const want = `a list of texts, such as ["a", "b"]`
	i := t.find(key)
	switch {
	case i == nil:
		return nil
	case i.kind != unstable.Array:
		r.wrongType(i, want)
		return nil
	case len(i.list) == 0:
		r.failAt(i.value.at, "%s is an empty list; leave it out if any will do", key)
	}
	for _, v := range i.list {
		if v.kind != unstable.String {
			r.failAt(max(v.at, i.value.at), "%s must be %s, not of %s", key, want, called(v.kind))
			return nil
		}
	}
	return i.list
}

func (r *reader) flag(t *table, key string) bool {
	i := t.find(key)
	if i == nil {
		return false
	}
	if i.kind != unstable.Bool {
		r.wrongType(i, "true or false")
	}
	return i.text == "true"
}

func (r *reader) count(t *table, key string) int64 {
	i := t.find(key)
	if i == nil {
		return 0
	}
	if i.kind != unstable.Integer {
		r.wrongType(i, "a number")
		return 0
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(i.text, "_", ""), 0, 64)
	if err != nil || n < 1 {
		r.failAt(i.value.at, "%s must be at least 1; leave it out for no limit", key)
	}
	return n
}

func (r *reader) size(t *table, key string) int64 {
	i := t.find(key)
	if i == nil {
		return 0
	}
	text, ok := i.text, i.kind == unstable.String
	if i.kind == unstable.Integer {
		text, ok = strings.ReplaceAll(text, "_", ""), true
	}
	if !ok {
		r.wrongType(i, `a size, such as "1GiB"`)
		return 0
	}
	n, err := units.ParseSize(text)
	switch {
	case err != nil:
		r.failAt(i.value.at, "%s: %v", key, err)
	case n == 0:
		r.failAt(i.value.at, "%s must not be 0; leave it out for no limit", key)
	}
	return n
}

func (r *reader) duration(t *table, key string) time.Duration {
	i := t.find(key)
	text, ok := r.text(t, key)
	if !ok {
		return 0
	}
	d, err := units.ParseDuration(text)
	switch {
	case err != nil:
		r.failAt(i.value.at, "%s: %v", key, err)
	case d == 0:
		r.failAt(i.value.at, "%s must not be 0", key)
	}
	return d
}

// path returns an absolute path, or one of words.
func (r *reader) path(t *table, key string, words ...string) string {
	text, ok := r.text(t, key)
	if !ok || slices.Contains(words, text) {
		return text
	}
	if !strings.HasPrefix(text, "/") || strings.Contains(text, "\x00") {
		want := "an absolute path"
		if len(words) > 0 {
			want += " or \"" + strings.Join(words, `", "`) + "\""
		}
		r.failAt(t.find(key).value.at, "%s must be %s, not %q", key, want, text)
	}
	return text
}
