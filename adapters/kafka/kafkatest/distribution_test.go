package kafkatest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Ensure that what is missing is named together with what to do about it.
func TestFindDistribution_missing(t *testing.T) {
	empty := t.TempDir()
	t.Run("KAFKA_HOME", func(t *testing.T) {
		t.Setenv("KAFKA_HOME", empty)
		if _, err := findDistribution(t.Context(), os.Stderr); err == nil || !strings.Contains(err.Error(), empty) {
			t.Errorf("error: %v", err)
		}
	})
	t.Run("java", func(t *testing.T) {
		t.Setenv("JAVA_HOME", "")
		t.Setenv("PATH", empty)
		if _, err := findDistribution(t.Context(), os.Stderr); err == nil || !strings.Contains(err.Error(), "Java runtime, version 17") {
			t.Errorf("error: %v", err)
		}
	})
	t.Run("mvn", func(t *testing.T) {
		t.Setenv("PATH", empty)
		root := repositoryWithPom(t)
		_, err := fetch(t.Context(), root, os.Stderr)
		if err == nil || !strings.Contains(err.Error(), "no mvn") || !strings.Contains(err.Error(), "KAFKA_HOME") {
			t.Errorf("error: %v", err)
		}
	})
	t.Run("repository", func(t *testing.T) {
		t.Setenv("KAFKA_HOME", "")
		t.Chdir(empty)
		if _, err := findDistribution(t.Context(), os.Stderr); err == nil || !strings.Contains(err.Error(), pom) {
			t.Errorf("error: %v", err)
		}
	})
}

// Ensure that the jars are fetched once, whole or not at all.
func TestFetch(t *testing.T) {
	root := repositoryWithPom(t)
	bin := t.TempDir()
	mvn := func(script string) {
		if err := os.WriteFile(filepath.Join(bin, "mvn"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	const copyTo = `for a; do case $a in -DoutputDirectory=*) dir=${a#*=};; esac; done
mkdir -p "$dir"; : > "$dir/kafka.jar"
`
	mvn(copyTo + "echo '[ERROR] no network'; exit 1")
	if _, err := fetch(t.Context(), root, os.Stderr); err == nil || !strings.Contains(err.Error(), "no network") {
		t.Fatalf("error: %v", err)
	}
	mvn(copyTo + "echo '[INFO] Downloaded from central: https://example.com/org/kafka.jar (4 MB at 1 MB/s)'")
	var said strings.Builder
	libs, err := fetch(t.Context(), root, &said)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(root, ".kafka", "4.9.9", "libs"); libs != want {
		t.Errorf("fetched to %s, want %s", libs, want)
	}
	if !strings.Contains(said.String(), "Fetching Apache Kafka 4.9.9") || !strings.Contains(said.String(), "1 kafka.jar\n") {
		t.Errorf("progress said %q", said.String())
	}
	mvn("exit 1")
	if again, err := fetch(t.Context(), root, os.Stderr); err != nil || again != libs {
		t.Errorf("the second time: %s, %v", again, err)
	}
}

func repositoryWithPom(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	file := filepath.Join(root, pom)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	text := `<project xmlns="http://maven.apache.org/POM/4.0.0"><version>1</version><properties><kafka.version>4.9.9</kafka.version></properties></project>`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}
