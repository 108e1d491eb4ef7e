package oslo

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"stoker/internal/cinder"
)

// object is a versioned object (doc/cinder/wire.md#objects).
type object[D any] struct {
	Name      string   `json:"versioned_object.name"`
	Namespace string   `json:"versioned_object.namespace"`
	Version   string   `json:"versioned_object.version"`
	Data      *D       `json:"versioned_object.data"`
	Changes   []string `json:"versioned_object.changes,omitempty"`
}

type (
	levelData struct {
		Prefix *string `json:"prefix"`
		Level  *string `json:"level"`
	}
	levelsData struct {
		Objects []object[levelData] `json:"objects"`
	}
)

// The only namespace and version that we support.
const (
	objectNamespace = "cinder"
	objectVersion   = "1.0"
)

func newObject[D any](name string, data D, changes ...string) object[D] {
	return object[D]{Name: name, Namespace: objectNamespace, Version: objectVersion, Data: &data, Changes: changes}
}

// check returns an error unless the object is of the type called name.
func (o *object[D]) check(name string) error {
	switch {
	case o.Name != name || o.Namespace != objectNamespace || o.Data == nil:
		return &cinder.Error{Kind: cinder.KindInvalid, Msg: fmt.Sprintf("Unsupported object type %s", o.Name), Err: errObjectType}
	case o.Version != objectVersion:
		return &cinder.Error{
			Kind: cinder.KindInvalid, Err: errObjectVersion,
			Msg: fmt.Sprintf("Version %s of %s is not supported, supported version is %s", o.Version, name, objectVersion),
		}
	default:
		return nil
	}
}

// LogLevel is a log level or, in a query, the prefix asked for.
type LogLevel struct {
	Prefix string // of logger names; "" is null on the wire and means all
	Level  string // "" is null on the wire
}

// object returns the versioned object.
func (l LogLevel) object() object[levelData] {
	return newObject("LogLevel", levelData{Prefix: nullable(l.Prefix), Level: nullable(l.Level)}, "prefix", "level")
}

// MarshalJSON encodes the versioned object.
func (l LogLevel) MarshalJSON() ([]byte, error) { return json.Marshal(l.object()) }

// UnmarshalJSON decodes the versioned object. A plain object, another namespace or
// another version is KindInvalid (doc/cinder/wire.md#objects).
func (l *LogLevel) UnmarshalJSON(b []byte) error {
	var o object[levelData]
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	if err := o.check("LogLevel"); err != nil {
		return err
	}
	*l = LogLevel{Prefix: value(o.Data.Prefix), Level: value(o.Data.Level)}
	return nil
}

// LogLevels are loggers' levels by name, a LogLevelList on the wire.
type LogLevels map[string]cinder.LogLevel

// MarshalJSON encodes the versioned object, sorted by name.
func (l LogLevels) MarshalJSON() ([]byte, error) {
	data := levelsData{Objects: []object[levelData]{}}
	for _, name := range slices.Sorted(maps.Keys(l)) {
		data.Objects = append(data.Objects, LogLevel{Prefix: name, Level: string(l[name])}.object())
	}
	return json.Marshal(newObject("LogLevelList", data, "objects"))
}

// UnmarshalJSON decodes the versioned object, as strictly as LogLevel's.
func (l *LogLevels) UnmarshalJSON(b []byte) error {
	var o object[levelsData]
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	if err := o.check("LogLevelList"); err != nil {
		return err
	}
	levels := make(LogLevels, len(o.Data.Objects))
	for i := range o.Data.Objects {
		item := &o.Data.Objects[i]
		if err := item.check("LogLevel"); err != nil {
			return err
		}
		levels[value(item.Data.Prefix)] = cinder.LogLevel(value(item.Data.Level))
	}
	*l = levels
	return nil
}
