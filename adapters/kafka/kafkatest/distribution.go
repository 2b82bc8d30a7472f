package kafkatest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// fetchBound is the longest that fetching the jars may take.
const fetchBound = 10 * time.Minute

// pom names the jars, as a path in the repository.
const pom = "deployments/kafka/pom.xml"

// distribution is a Kafka that can be started.
type distribution struct {
	java string // the program
	libs string // the folder of its jars

	archive string // of loaded classes; empty: none
	record  string // the archive to write when a broker ends; empty: none
}

// findDistribution returns the Kafka of KAFKA_HOME, or that of pom.xml, fetched
// if it is not there yet.
func findDistribution(ctx context.Context, progress io.Writer) (distribution, error) {
	java, err := findJava()
	if err != nil {
		return distribution{}, err
	}
	if home := os.Getenv("KAFKA_HOME"); home != "" {
		libs := filepath.Join(home, "libs")
		if found, err := filepath.Glob(filepath.Join(libs, "kafka_*.jar")); err != nil || len(found) == 0 {
			return distribution{}, fmt.Errorf("KAFKA_HOME is %s, and there is no kafka_*.jar in its libs", home)
		}
		return distribution{java: java, libs: libs}, nil
	}
	root, err := repository()
	if err != nil {
		return distribution{}, err
	}
	libs, err := fetch(ctx, root, progress)
	if err != nil {
		return distribution{}, fmt.Errorf("fetching Apache Kafka: %w", err)
	}
	return archived(ctx, distribution{java: java, libs: libs}, filepath.Dir(libs), progress), nil
}

func findJava() (string, error) {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		return filepath.Join(home, "bin", "java"), nil
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return "", errors.New("there is no java: install a Java runtime, version 17 or newer (Debian: openjdk-17-jre-headless)")
	}
	return java, nil
}

// repository finds the folder above us that holds pom.xml.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("looking for %s: %w", pom, err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, pom)); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no folder above this one has %s: run within the repository, or name an installed Kafka in KAFKA_HOME", pom)
		}
		dir = parent
	}
}

// fetch copies the jars to .kafka/<version>/libs unless they are there. A
// process that dies here leaves a folder of another name; only a whole set
// of jars is ever called libs.
func fetch(ctx context.Context, root string, progress io.Writer) (string, error) {
	version, err := pomVersion(filepath.Join(root, pom))
	if err != nil {
		return "", err
	}
	home := filepath.Join(root, ".kafka", version)
	libs := filepath.Join(home, "libs")
	if _, err := os.Stat(libs); err == nil {
		return libs, nil
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return "", err
	}
	unlock, err := lockFile(ctx, filepath.Join(home, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(libs); err == nil {
		return libs, nil // by the one who had the lock
	}
	if _, err := exec.LookPath("mvn"); err != nil {
		return "", errors.New("there is no mvn: install Maven (Debian: apt-get install maven), or name an installed Kafka 4 in KAFKA_HOME")
	}
	part := filepath.Join(home, "libs.part")
	if err := os.RemoveAll(part); err != nil {
		return "", err
	}
	fmt.Fprintf(progress, "Fetching Apache Kafka %s with mvn (44 MB, once) into %s\n", version, libs)
	if err := runMaven(ctx, root, part, progress); err != nil {
		return "", err
	}
	if err := os.Rename(part, libs); err != nil {
		return "", err
	}
	return libs, nil
}

// runMaven copies what pom.xml names to the folder. Maven's own lines about
// each file become one short line here.
func runMaven(ctx context.Context, root, folder string, progress io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, fetchBound)
	defer cancel()
	cmd := exec.CommandContext(ctx, "mvn", "--batch-mode", "--file", filepath.Join(root, pom),
		"dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+folder)
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	cmd.WaitDelay = time.Second

	var last bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		scanner := bufio.NewScanner(out)
		for files := 0; scanner.Scan(); {
			line := scanner.Text()
			// "[INFO] Downloaded from central: https://.../x.jar (4 MB at 1 MB/s)"
			if _, rest, ok := strings.Cut(line, "Downloaded from "); ok {
				_, url, _ := strings.Cut(rest, " ")
				url, _, _ = strings.Cut(url, " ")
				if strings.HasSuffix(url, ".jar") {
					files++
					fmt.Fprintf(progress, "  %3d %s\n", files, path.Base(url))
				}
			} else if strings.Contains(line, "ERROR") && last.Len() < 4<<10 {
				last.WriteString(line + "\n")
			}
		}
		_, _ = io.Copy(io.Discard, out) // a line too long for the scanner
	}()
	err := cmd.Run()
	in.Close()
	<-read
	if err != nil {
		return fmt.Errorf("mvn: %w\n%s", err, strings.TrimSpace(last.String()))
	}
	return nil
}

// pomVersion reads the property kafka.version.
func pomVersion(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	var project struct {
		Version string `xml:"properties>kafka.version"`
	}
	if err := xml.Unmarshal(text, &project); err != nil {
		return "", fmt.Errorf("reading %s: %w", file, err)
	}
	if project.Version == "" {
		return "", fmt.Errorf("reading %s: it has no property kafka.version", file)
	}
	return project.Version, nil
}

// lockFile keeps other test processes from fetching at the same time.
func lockFile(ctx context.Context, name string) (unlock func(), err error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(&fs.PathError{Op: "flock", Path: name, Err: err}, file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("waiting for another process that fetches: %w", ctx.Err()), file.Close())
		case <-tick.C:
		}
	}
}
