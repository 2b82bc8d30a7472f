package projections_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Ensure that docs/read-models.md tells of columns that are there, and that its
// examples run.
func TestDocs_readModels(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/read-models.md")
	if err != nil {
		t.Fatal(err)
	}
	pool := database(t)
	for _, example := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		if _, err := pool.Exec(t.Context(), example[1]); err != nil {
			t.Errorf("%v in:\n%s", err, example[1])
		}
	}
	word := regexp.MustCompile("`\"?([a-z_.]+)\"?`")
	for section := range strings.SplitSeq(string(text), "\n## ") {
		tables, _, ok := strings.Cut(section, ":")
		if !ok || strings.ContainsAny(tables, " \n") && !strings.Contains(tables, ", ") {
			continue
		}
		for line := range strings.Lines(section) {
			cells := strings.Split(line, "|")
			if len(cells) < 3 || !strings.Contains(cells[1], "`") {
				continue
			}
			for _, column := range word.FindAllStringSubmatch(cells[1], -1) {
				name := column[1][strings.LastIndex(column[1], ".")+1:]
				var there bool
				err := pool.QueryRow(t.Context(), `select count(*) > 0 from information_schema.columns
					where table_name = any(string_to_array($1, ', ')) and column_name = $2`, tables, name).Scan(&there)
				if err != nil {
					t.Fatal(err)
				}
				if !there {
					t.Errorf("%s: there is no column %s", tables, name)
				}
			}
		}
	}
}
