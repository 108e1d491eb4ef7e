package dsn

import (
	"bufio"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"stoker/internal/cinder"
)

// maxDefaultsLine bounds a line of a my.cnf.
const maxDefaultsLine = 1 << 20

// verifyServer is a setting that needs no value.
const verifyServer = "ssl-verify-server-cert"

// Defaults fills in what the URL does not set (user, password, host, port, socket,
// ssl-ca and the like) from the file in its option read_default_file, a MySQL my.cnf.
// It reads the section [client], or the one in the option read_default_group. Without
// the option it returns d.
//
// Unlike PyMySQL it fails, with KindInvalid, when it cannot read the file: the file may
// ask for TLS. Errors quote nothing from the file.
func (d Database) Defaults() (Database, error) {
	name := d.Option("read_default_file")
	if d.Engine != MySQL || name == "" {
		return d, nil
	}
	group := d.Option("read_default_group")
	if group == "" {
		group = "client"
	}
	values, err := readDefaults(name, group)
	if err != nil {
		return Database{}, cinder.Errorf(cinder.KindInvalid, "read_default_file of the database connection: %s: %s", name, err)
	}
	for _, to := range []struct {
		field *string
		name  string
	}{{&d.User, "user"}, {&d.Password, "password"}, {&d.Host, "host"}} {
		if *to.field == "" {
			*to.field = values[to.name]
		}
	}
	if port := values["port"]; d.Port == 0 && port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return Database{}, cinder.Errorf(cinder.KindInvalid, "read_default_file of the database connection: %s: port is not a number from 1 to 65535", name)
		}
		d.Port = int(n)
	}
	d.Options = maps.Clone(d.Options)
	for from, to := range defaultOptions() {
		if value := values[from]; value != "" && d.Option(to) == "" {
			d.Options[to] = []string{value}
		}
	}
	return d, nil
}

// defaultOptions maps settings of a my.cnf to the options of a URL's query.
func defaultOptions() map[string]string {
	return map[string]string{
		"socket": "unix_socket", "ssl-ca": "ssl_ca", "ssl-capath": "ssl_capath", "ssl-cert": "ssl_cert", "ssl-key": "ssl_key",
		"ssl-mode": "ssl_mode", verifyServer: "ssl_verify_cert",
	}
}

// readDefaults reads one section of a file.
func readDefaults(name, group string) (_ map[string]string, err error) {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, err
		}
		name = filepath.Join(home, rest)
	}
	f, err := os.Open(name)
	if err != nil {
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err
		}
		return nil, err
	}
	defer f.Close()
	values := map[string]string{}
	section := ""
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxDefaultsLine)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if inside, ok := strings.CutPrefix(line, "["); ok {
			section, _, _ = strings.Cut(inside, "]")
			continue
		}
		if section != group || line == "" || strings.ContainsAny(line[:1], "#;!") {
			continue
		}
		setting, value, given := strings.Cut(line, "=")
		setting = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(setting)), "_", "-")
		if !given && setting == verifyServer {
			value = "true"
		}
		values[setting] = unquoted(strings.TrimSpace(value))
	}
	return values, lines.Err()
}

func unquoted(s string) string {
	if n := len(s); n >= 2 && s[0] == s[n-1] && strings.ContainsAny(s[:1], `'"`) {
		return s[1 : n-1]
	}
	return s
}
