// Command merge prints the merge of two Ignition configs, parent and child, as Ignition itself makes it.
//
// Both are read with the specification that is the newer of the two, as a Butane user's merged configs would be; the result
// goes to standard output. It exists for tests that compare other implementations with this one.
package main

import (
	"fmt"
	"os"

	// Unlike encoding/json it leaves out empty structs, as Butane's output does.
	"github.com/clarketm/json"
	"github.com/coreos/vcontext/report"

	"github.com/coreos/ignition/v2/config/util"
	"github.com/coreos/ignition/v2/config/v3_0"
	"github.com/coreos/ignition/v2/config/v3_1"
	"github.com/coreos/ignition/v2/config/v3_2"
	"github.com/coreos/ignition/v2/config/v3_3"
	"github.com/coreos/ignition/v2/config/v3_4"
	"github.com/coreos/ignition/v2/config/v3_5"
	"github.com/coreos/ignition/v2/config/v3_6"
)

func mergeWith[C any](
	parent, child []byte, parse func([]byte) (C, report.Report, error), merge func(C, C) C,
) (any, error) {
	p, r, err := parse(parent)
	if err != nil {
		return nil, fmt.Errorf("parent: %w\n%s", err, r.String())
	}
	c, r, err := parse(child)
	if err != nil {
		return nil, fmt.Errorf("child: %w\n%s", err, r.String())
	}
	return merge(p, c), nil
}

func merged(parent, child []byte) (any, error) {
	p, _, err := util.GetConfigVersion(parent)
	if err != nil {
		return nil, fmt.Errorf("parent: %w", err)
	}
	c, _, err := util.GetConfigVersion(child)
	if err != nil {
		return nil, fmt.Errorf("child: %w", err)
	}
	newer := p
	if p.LessThan(c) {
		newer = c
	}
	switch newer.String() {
	case "3.0.0":
		return mergeWith(parent, child, v3_0.Parse, v3_0.Merge)
	case "3.1.0":
		return mergeWith(parent, child, v3_1.ParseCompatibleVersion, v3_1.Merge)
	case "3.2.0":
		return mergeWith(parent, child, v3_2.ParseCompatibleVersion, v3_2.Merge)
	case "3.3.0":
		return mergeWith(parent, child, v3_3.ParseCompatibleVersion, v3_3.Merge)
	case "3.4.0":
		return mergeWith(parent, child, v3_4.ParseCompatibleVersion, v3_4.Merge)
	case "3.5.0":
		return mergeWith(parent, child, v3_5.ParseCompatibleVersion, v3_5.Merge)
	case "3.6.0":
		return mergeWith(parent, child, v3_6.ParseCompatibleVersion, v3_6.Merge)
	}
	return nil, fmt.Errorf("unsupported config version %s", newer.String())
}

func run() error {
	if len(os.Args) != 3 {
		return fmt.Errorf("usage: %s PARENT CHILD", os.Args[0])
	}
	parent, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	child, err := os.ReadFile(os.Args[2])
	if err != nil {
		return err
	}
	result, err := merged(parent, child)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
