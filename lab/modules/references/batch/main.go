// Command batch answers for Butane and Ignition, many requests in one process: tests compare other implementations with
// these two, and starting a program for each of thousands of configs would take longer than all else.
//
// One request per line of standard input, as JSON, and one answer per line of standard output, in the same order.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	// Unlike encoding/json it leaves out empty structs, as Butane's output does.
	sparse "github.com/clarketm/json"
	"github.com/coreos/vcontext/report"

	butane "github.com/coreos/butane/config"
	"github.com/coreos/butane/config/common"
	ignition "github.com/coreos/ignition/v2/config"
	"github.com/coreos/ignition/v2/config/util"
	"github.com/coreos/ignition/v2/config/v3_0"
	"github.com/coreos/ignition/v2/config/v3_1"
	"github.com/coreos/ignition/v2/config/v3_2"
	"github.com/coreos/ignition/v2/config/v3_3"
	"github.com/coreos/ignition/v2/config/v3_4"
	"github.com/coreos/ignition/v2/config/v3_5"
	"github.com/coreos/ignition/v2/config/v3_6"
	"github.com/coreos/ignition/v2/config/v3_7_experimental"
)

// A request: Do is translate, validate or merge; the rest is what each of them needs.
type request struct {
	Do       string `json:"do"`
	Source   string `json:"source"`
	FilesDir string `json:"files_dir"`
	Raw      bool   `json:"raw"`
	Pretty   bool   `json:"pretty"`
	Parent   string `json:"parent"`
	Child    string `json:"child"`
}

// A message of a report. Guessed: Butane does not know where the field came from, so its path is that of the output.
type message struct {
	Kind    string `json:"kind"`
	Path    string `json:"path"`
	Line    int64  `json:"line"`
	Column  int64  `json:"column"`
	Text    string `json:"text"`
	Guessed bool   `json:"guessed"`
}

// An answer: Error is empty if the reference accepts. Crash says how the reference fell over.
type answer struct {
	Output   string    `json:"output"`
	Error    string    `json:"error"`
	Messages []message `json:"messages"`
	Crash    string    `json:"crash"`
}

func messages(r report.Report) []message {
	all := []message{}
	for _, entry := range r.Entries {
		one := message{Kind: entry.Kind.String(), Path: entry.Context.String(), Text: entry.Message}
		one.Guessed = entry.Context.Tag == "json"
		if start := entry.Marker.StartP; start != nil {
			one.Line, one.Column = start.Line, start.Column
		}
		all = append(all, one)
	}
	return all
}

func answerTo(asked request) (given answer) {
	defer func() {
		if reason := recover(); reason != nil {
			given = answer{Crash: fmt.Sprint(reason), Error: "crash"}
		}
	}()
	var err error
	switch asked.Do {
	case "translate":
		var output []byte
		var r report.Report
		output, r, err = butane.TranslateBytes([]byte(asked.Source), common.TranslateBytesOptions{
			TranslateOptions: common.TranslateOptions{FilesDir: asked.FilesDir},
			Raw:              asked.Raw,
			Pretty:           asked.Pretty,
		})
		given = answer{Output: string(output), Messages: messages(r)}
	case "validate":
		var r report.Report
		_, r, err = ignition.Parse([]byte(asked.Source))
		given = answer{Messages: messages(r)}
	case "merge":
		given.Output, err = merged([]byte(asked.Parent), []byte(asked.Child))
	default:
		err = fmt.Errorf("unknown request %q", asked.Do)
	}
	if err != nil {
		given.Error = err.Error()
	}
	return given
}

func mergeWith[C any](
	parent, child []byte, parse func([]byte) (C, report.Report, error), merge func(C, C) C,
) (string, error) {
	p, r, err := parse(parent)
	if err != nil {
		return "", fmt.Errorf("parent: %w\n%s", err, r.String())
	}
	c, r, err := parse(child)
	if err != nil {
		return "", fmt.Errorf("child: %w\n%s", err, r.String())
	}
	output, err := sparse.Marshal(merge(p, c))
	return string(output), err
}

// merged reads both configs with the specification that is the newer of the two, as Ignition itself would.
func merged(parent, child []byte) (string, error) {
	p, _, err := util.GetConfigVersion(parent)
	if err != nil {
		return "", fmt.Errorf("parent: %w", err)
	}
	c, _, err := util.GetConfigVersion(child)
	if err != nil {
		return "", fmt.Errorf("child: %w", err)
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
	case "3.7.0-experimental":
		return mergeWith(parent, child, v3_7_experimental.ParseCompatibleVersion, v3_7_experimental.Merge)
	}
	return "", fmt.Errorf("unsupported config version %s", newer.String())
}

func run() error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	answers := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(answers)
	encoder.SetEscapeHTML(false)
	for lines.Scan() {
		var asked request
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			return err
		}
		if err := encoder.Encode(answerTo(asked)); err != nil {
			return err
		}
		// A caller may wait for each answer before it asks again.
		if err := answers.Flush(); err != nil {
			return err
		}
	}
	return lines.Err()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
