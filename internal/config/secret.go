package config

// Secret is a password or the like: convert it to a string to use it. However it
// is printed, only that there is one is to be seen.
type Secret string

// String is *** unless the secret is empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText is String, for logs and JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
