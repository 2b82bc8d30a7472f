// Package s3test starts a real S3 server for tests.
package s3test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// What a Server is reached with.
const (
	Bucket    = "parley-files"
	AccessKey = "parley"
	SecretKey = "a-secret-of-the-test"
)

// Server starts the server that PARLEY_TEST_VERSITYGW names, on a folder of its
// own, with a bucket, and gives its host and port. It is ended with the test.
func Server(t testing.TB) string {
	t.Helper()
	binary := os.Getenv("PARLEY_TEST_VERSITYGW")
	if binary == "" {
		t.Fatal("PARLEY_TEST_VERSITYGW does not name a versitygw; make test-s3 builds one")
	}
	const tries = 3
	for range tries {
		if address, ok := start(t, binary); ok {
			return address
		}
	}
	t.Fatal("the S3 server does not start")
	return ""
}

// Free gives an address where nobody listens now.
func Free(t testing.TB) string {
	t.Helper()
	free, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	return free.Addr().String()
}

// start tries it on a port that is free now; false when the server ended, as it
// does when somebody else has taken the port since.
func start(t testing.TB, binary string) (string, bool) {
	t.Helper()
	address := Free(t)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context())) // until the test has cleaned up
	cmd := exec.CommandContext(ctx, binary, "--quiet", "--port", address, "--access", AccessKey, "--secret", SecretKey,
		"posix", "--sidecar", t.TempDir(), t.TempDir())
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })

	client, err := minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(AccessKey, SecretKey, "")})
	if err != nil {
		t.Fatal(err)
	}
	const often, most = 50 * time.Millisecond, 30 * time.Second
	tick := time.NewTicker(often)
	defer tick.Stop()
	late := time.After(most)
	for {
		if err := client.MakeBucket(t.Context(), Bucket, minio.MakeBucketOptions{}); err == nil {
			return address, true
		}
		select {
		case <-ended:
			return "", false
		case <-late:
			cancel()
			<-ended
			t.Fatalf("the S3 server does not answer: %s", said.String())
		case <-tick.C:
		}
	}
}
