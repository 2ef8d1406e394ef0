// Command advisory-db writes the offline data bases of two scanners from OSV records.
//
//	advisory-db OUT RECORD.json...
//
// It makes OUT/trivy/trivy.db and OUT/trivy/metadata.json, the layout of Trivy's schema 2 with what a scan of Python
// packages reads of it, and OUT/osv/osv-scalibr/PyPI/all.zip, the records themselves as osv-scanner reads them, beside
// an empty archive for Debian, whose packages it meets too. Records of other ecosystems than PyPI are refused, since
// they would be left out without a word otherwise. The same records always give the same files.
package main

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Both are Trivy's names for the advisories GitHub publishes about packages of PyPI.
const (
	bucket = "pip::GitHub Security Advisory Pip"
	source = `{"ID":"ghsa","Name":"GitHub Security Advisory Pip","URL":"https://github.com/advisories?query=type%3Areviewed+ecosystem%3Apip"}`
)

// The severities of GitHub's advisories as Trivy numbers and names them.
var severities = map[string]struct {
	number int
	name   string
}{"LOW": {1, "LOW"}, "MODERATE": {2, "MEDIUM"}, "HIGH": {3, "HIGH"}, "CRITICAL": {4, "CRITICAL"}}

// Record is what is read of an OSV record.
type Record struct {
	ID        string
	Aliases   []string
	Summary   string
	Details   string
	Published time.Time
	Modified  time.Time
	Severity  []struct{ Type, Score string }
	Affected  []struct {
		Package struct{ Ecosystem, Name string }
		Ranges  []struct {
			Events []struct{ Introduced, Fixed string }
		}
	}
	References       []struct{ URL string }
	DatabaseSpecific struct {
		Severity string
		CweIDs   []string `json:"cwe_ids"`
	} `json:"database_specific"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "advisory-db:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("usage: advisory-db OUT RECORD.json...")
	}
	out, files := args[0], args[1:]
	osv := filepath.Join(out, "osv/osv-scalibr")
	if err := writeOSV(filepath.Join(osv, "PyPI"), files); err != nil {
		return err
	}
	if err := writeOSV(filepath.Join(osv, "Debian"), nil); err != nil {
		return err
	}
	return writeTrivy(filepath.Join(out, "trivy"), files)
}

func writeOSV(out string, files []string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(out, "all.zip"))
	if err != nil {
		return err
	}
	archive := zip.NewWriter(file)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		record, err := archive.Create(filepath.Base(name))
		if err != nil {
			return err
		}
		if _, err := record.Write(text); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), file.Close())
}

func writeTrivy(out string, files []string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	path := filepath.Join(out, "trivy.db")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	db, err := bolt.Open(path, 0o644, &bolt.Options{Timeout: time.Second})
	if err != nil {
		return err
	}
	var newest time.Time
	err = db.Update(func(tx *bolt.Tx) error {
		if err := put(tx, "data-source", bucket, json.RawMessage(source)); err != nil {
			return err
		}
		for _, file := range files {
			modified, err := add(tx, file)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			if modified.After(newest) {
				newest = modified
			}
		}
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	// As old as its newest record, not as this run: the files depend on the records alone.
	text, err := json.Marshal(map[string]any{
		"Version": 2, "UpdatedAt": newest, "NextUpdate": newest.AddDate(100, 0, 0), "DownloadedAt": newest,
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "metadata.json"), text, 0o644)
}

func add(tx *bolt.Tx, file string) (time.Time, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return time.Time{}, err
	}
	var record Record
	if err := json.Unmarshal(text, &record); err != nil {
		return time.Time{}, err
	}
	severity, known := severities[record.DatabaseSpecific.Severity]
	if !known {
		return time.Time{}, fmt.Errorf("the severity %q is none of GitHub's", record.DatabaseSpecific.Severity)
	}

	// Trivy files an advisory under its CVE, if it has one.
	id := record.ID
	for _, alias := range record.Aliases {
		if strings.HasPrefix(alias, "CVE-") {
			id = alias
		}
	}
	for _, affected := range record.Affected {
		if affected.Package.Ecosystem != "PyPI" {
			return time.Time{}, fmt.Errorf("the ecosystem %q is not PyPI", affected.Package.Ecosystem)
		}
		var vulnerable, patched []string
		for _, affectedRange := range affected.Ranges {
			var bounds []string
			for _, event := range affectedRange.Events {
				if event.Introduced != "" && event.Introduced != "0" {
					bounds = append(bounds, ">="+event.Introduced)
				}
				if event.Fixed != "" {
					bounds = append(bounds, "<"+event.Fixed)
					patched = append(patched, event.Fixed)
				}
			}
			if len(bounds) == 0 {
				bounds = []string{">=0"}
			}
			vulnerable = append(vulnerable, strings.Join(bounds, ", "))
		}
		advisory := map[string]any{"VendorIDs": []string{record.ID}, "VulnerableVersions": vulnerable, "PatchedVersions": patched}
		packages, err := tx.CreateBucketIfNotExists([]byte(bucket))
		if err != nil {
			return time.Time{}, err
		}
		if err := put(packages, strings.ToLower(affected.Package.Name), id, advisory); err != nil {
			return time.Time{}, err
		}
	}

	detail := map[string]any{
		"Title":            record.Summary,
		"Description":      record.Details,
		"Severity":         severity.name,
		"VendorSeverity":   map[string]int{"ghsa": severity.number},
		"CweIDs":           record.DatabaseSpecific.CweIDs,
		"PublishedDate":    record.Published,
		"LastModifiedDate": record.Modified,
	}
	for _, score := range record.Severity {
		if score.Type == "CVSS_V3" {
			detail["CVSS"] = map[string]any{"ghsa": map[string]string{"V3Vector": score.Score}}
		}
	}
	var references []string
	for _, reference := range record.References {
		references = append(references, reference.URL)
	}
	detail["References"] = references
	return record.Modified, put(tx, "vulnerability", id, detail)
}

func put(parent interface {
	CreateBucketIfNotExists(name []byte) (*bolt.Bucket, error)
}, name, key string, value any) error {
	inner, err := parent.CreateBucketIfNotExists([]byte(name))
	if err != nil {
		return err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return inner.Put([]byte(key), text)
}
