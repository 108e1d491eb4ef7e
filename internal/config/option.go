package config

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"stoker/internal/cinder"
)

// option is one line of the table: an option of a T, which is the Config or the
// Backend of a section.
type option[T any] struct {
	group string // the section; "" for the options of a backend
	name  string
	def   string // in the file's spelling; may refer to other options with $name
	help  string // for doc/configuration.md: sentences
	ours  bool   // Cinder has no such option
	own   bool   // of a backend: not looked up in the section of defaults

	old []string        // names of former releases, as section.name
	in  func(*T) string // the section it is read from, where that depends; nil: group
	api bool            // of no use to anything but the API

	allowed string                // what values there are, after "must be"
	multi   bool                  // repeated lines add up
	blank   bool                  // set to nothing, it is not set, as oslo.config has it for numbers
	redact  func(string) string   // how a value is printed; nil: as it is
	set     func(*T, string) bool // false: not a value of the type. Called per value when multi
	show    func(*T) string       // the value in the file's spelling, secrets left out
	valid   func(*T) bool         // nil: whatever set took
	problem func(*T) string       // what is wrong when it is not valid; nil: it must be allowed
}

// printed is the text as faults and logs may show it.
func (o option[T]) printed(text string) string {
	if o.redact == nil || text == "" {
		return text
	}
	return o.redact(text)
}

// section is where the option is read from.
func (o option[T]) section(t *T) string {
	if o.in != nil {
		return o.in(t)
	}
	return o.group
}

// places are the sections and names where the option may be set, the first that
// has it counts: its own, those of former releases, and for an option of a
// backend that its section does not set, the section of defaults.
func (o option[T]) places(section string) [][2]string {
	all := [][2]string{{section, o.name}}
	if o.group == "" && !o.own {
		all = append(all, [2]string{defaultsSection, o.name})
	}
	for _, old := range o.old {
		group, name, _ := strings.Cut(old, ".")
		if group == o.group {
			group = section
		}
		all = append(all, [2]string{group, name})
	}
	return all
}

func text[T any](o option[T], allowed string, valid func(string) bool, at func(*T) *string) option[T] {
	o.allowed = allowed
	o.set = func(t *T, s string) bool { *at(t) = s; return true }
	o.show = func(t *T) string { return *at(t) }
	o.valid = func(t *T) bool { return valid(*at(t)) }
	return o
}

func choice[T any](o option[T], at func(*T) *string, choices ...string) option[T] {
	return text(o, "one of "+strings.Join(choices, ", "),
		func(s string) bool { return slices.Contains(choices, s) }, at)
}

// truths are the spellings of true, in lower case.
func truths() []string { return []string{"true", "1", "yes", "on"} }

func boolean[T any](o option[T], at func(*T) *bool) option[T] {
	o.allowed = "true or false (1, yes, on; 0, no, off)"
	o.set = func(t *T, s string) bool {
		s = strings.ToLower(s)
		*at(t) = slices.Contains(truths(), s)
		return *at(t) || slices.Contains([]string{"false", "0", "no", "off"}, s)
	}
	o.show = func(t *T) string { return strconv.FormatBool(*at(t)) }
	return o
}

// word is any text, an empty one too.
func word[T any](o option[T], at func(*T) *string) option[T] {
	return text(o, "any text", func(string) bool { return true }, at)
}

// path is the name of a file or directory, or empty.
func path[T any](o option[T], at func(*T) *string) option[T] {
	return text(o, "a path, or empty", func(s string) bool { return !strings.ContainsRune(s, 0) }, at)
}

// secret is a text that is printed nowhere.
func secret[T any](o option[T], at func(*T) *Secret) option[T] {
	o.allowed = "any text"
	o.redact = func(s string) string { return Secret(s).String() }
	o.set = func(t *T, s string) bool { *at(t) = Secret(s); return true }
	o.show = func(t *T) string { return at(t).String() }
	return o
}

func integer[T any](o option[T], low, high int, at func(*T) *int) option[T] {
	o.allowed, o.blank = fmt.Sprintf("an integer from %d to %d", low, high), true
	o.set = func(t *T, s string) (ok bool) {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		*at(t) = n
		return err == nil
	}
	o.show = func(t *T) string { return strconv.Itoa(*at(t)) }
	o.valid = func(t *T) bool { return *at(t) >= low && *at(t) <= high }
	return o
}

// maxSeconds is a year: more is a slip of the finger, and far from overflowing.
const maxSeconds = 365 * 24 * 3600

// seconds is a whole number of seconds, as Cinder's times are.
func seconds[T any](o option[T], at func(*T) *time.Duration) option[T] {
	return duration(o, fmt.Sprintf("a whole number of seconds from 1 to %d", maxSeconds), time.Second, at)
}

// fraction is a number of seconds to the millisecond, for our own options.
func fraction[T any](o option[T], at func(*T) *time.Duration) option[T] {
	return duration(o, fmt.Sprintf("a number of seconds from 0.001 to %d", maxSeconds), time.Millisecond, at)
}

func duration[T any](o option[T], allowed string, unit time.Duration, at func(*T) *time.Duration) option[T] {
	o.allowed, o.blank = allowed, true
	o.set = func(t *T, s string) bool {
		f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil || !(math.Abs(f) <= maxSeconds) { // NaN compares as false
			return false
		}
		d := time.Duration(math.Round(f * float64(time.Second)))
		*at(t) = d
		return d%unit == 0
	}
	o.show = func(t *T) string { return strconv.FormatFloat(at(t).Seconds(), 'f', -1, 64) }
	o.valid = func(t *T) bool { d := *at(t); return d >= unit && d <= maxSeconds*time.Second }
	return o
}

// span is a number of seconds between two bounds.
func span[T any](o option[T], least, most int, at func(*T) *time.Duration) option[T] {
	o = duration(o, fmt.Sprintf("a number of seconds from %d to %d", least, most), time.Millisecond, at)
	o.valid = func(t *T) bool {
		d := *at(t)
		return d >= time.Duration(least)*time.Second && d <= time.Duration(most)*time.Second
	}
	return o
}

// period is a number of seconds that may be 0, which help explains.
func period[T any](o option[T], at func(*T) *time.Duration) option[T] {
	o = duration(o, fmt.Sprintf("a number of seconds from 0 to %d", maxSeconds), time.Millisecond, at)
	o.valid = func(t *T) bool { d := *at(t); return d >= 0 && d <= maxSeconds*time.Second }
	return o
}

// anything is a list of whatever.
func anything[T any](o option[T], at func(*T) *[]string) option[T] {
	o = list(o, "a list separated by commas", nil, at)
	o.valid = nil
	return o
}

// periodOrNever is a period that may be switched off with -1 as well.
func periodOrNever[T any](o option[T], at func(*T) *time.Duration) option[T] {
	o = period(o, at)
	o.allowed = "-1, or " + o.allowed
	set := o.set
	o.set = func(t *T, s string) bool {
		if s == "-1" {
			s = "0"
		}
		return set(t, s)
	}
	return o
}

// number is a number from 0 to high.
func number[T any](o option[T], high float64, at func(*T) *float64) option[T] {
	o.allowed, o.blank = fmt.Sprintf("a number from 0 to %v", high), true
	o.set = func(t *T, s string) (ok bool) {
		f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		*at(t) = f
		return err == nil
	}
	o.show = func(t *T) string { return strconv.FormatFloat(*at(t), 'f', -1, 64) }
	o.valid = func(t *T) bool { return *at(t) >= 0 && *at(t) <= high }
	return o
}

// lines is an option of any number of lines, each a value.
func lines[T any](o option[T], at func(*T) *[]string) option[T] {
	o.multi = true
	o.allowed = "a text on each line"
	o.set = func(t *T, s string) bool {
		if s != "" {
			*at(t) = append(*at(t), s)
		}
		return true
	}
	o.show = func(t *T) string { return strings.Join(*at(t), "\n"+o.name+" = ") }
	return o
}

func list[T any](o option[T], allowed string, valid func(string) bool, at func(*T) *[]string) option[T] {
	o.allowed = allowed
	o.set = func(t *T, s string) bool {
		*at(t) = nil
		s = strings.TrimRight(strings.TrimSpace(s), ",")
		if s == "" {
			return true
		}
		for item := range strings.SplitSeq(s, ",") {
			*at(t) = append(*at(t), strings.TrimSpace(item))
		}
		return true
	}
	o.show = func(t *T) string { return strings.Join(*at(t), ",") }
	o.valid = func(t *T) bool {
		seen := map[string]bool{}
		for _, item := range *at(t) {
			if seen[item] || !valid(item) {
				return false
			}
			seen[item] = true
		}
		return true
	}
	return o
}

// repeated is a list whose lines add up.
func repeated[T any](o option[T], allowed string, valid func(string) bool, at func(*T) *[]string) option[T] {
	o = list(o, allowed, valid, at)
	o.multi = true
	set := o.set
	o.set = func(t *T, s string) bool {
		all := *at(t)
		ok := set(t, s)
		for _, item := range *at(t) {
			if !slices.Contains(all, item) {
				all = append(all, item)
			}
		}
		*at(t) = all
		return ok
	}
	return o
}

func url[T any](o option[T], allowed string, check func(URL) error, at func(*T) *URL) option[T] {
	o.allowed = allowed
	o.redact = func(s string) string { return URL(s).String() }
	o.set = func(t *T, s string) bool { *at(t) = URL(s); return true }
	o.show = func(t *T) string { return at(t).String() }
	o.valid = func(t *T) bool { return check(*at(t)) == nil }
	o.problem = func(t *T) string { err := check(*at(t)); return cmp.Or(cinder.Message(err), fmt.Sprint(err)) }
	return o
}
