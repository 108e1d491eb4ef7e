#!/usr/bin/env bash
# Run every fuzz target of the module for the given time each; stop at the first finding.
set -euo pipefail
time=${1:-60s}
go list -f '{{.ImportPath}} {{.Dir}}' ./... | while read -r pkg dir; do
  { grep -hoE '^func (Fuzz[A-Za-z0-9_]*)' "$dir"/*_test.go 2>/dev/null || true; } | awk '{print $2}' | sort -u | while read -r target; do
    echo "== $pkg $target ($time)"
    # Inputs that are only interesting are not made smaller at length: that is time not spent on fuzzing.
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 20x "$pkg"
  done
done
