package pgtest_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/parley-im/parley/adapters/postgres"
	"github.com/parley-im/parley/adapters/postgres/pgtest"
)

// Ensure that two tests do not see each other's tables.
func TestNew_isEmptyAndAlone(t *testing.T) {
	t.Parallel()
	a, b := pgtest.New(t), pgtest.New(t)
	if _, err := a.Exec(t.Context(), "create table only_here (id int)"); err != nil {
		t.Fatal(err)
	}
	var found bool
	if err := b.QueryRow(t.Context(), "select to_regclass('only_here') is not null").Scan(&found); err != nil {
		t.Fatal(err)
	}
	if found {
		t.Error("a table of one database is visible in another")
	}
}

// Ensure that a cluster started in Dir keeps its files there, root or not.
func TestDir(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(pgtest.Dir(t), "postgres")
	c, err := postgres.StartCluster(t.Context(), postgres.ClusterConfig{Dir: dir, Settings: map[string]string{"fsync": "off"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if c.Dir() != dir {
		t.Errorf("files in %s, want %s", c.Dir(), dir)
	}
}

func BenchmarkURL(b *testing.B) {
	pgtest.URL(b) // starts the server
	b.ResetTimer()
	began := time.Now()
	for b.Loop() {
		pgtest.URL(b)
	}
	b.ReportMetric(float64(time.Since(began).Milliseconds())/float64(b.N), "ms/db")
}
