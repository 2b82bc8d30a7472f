package projections

import (
	"embed"
	"io/fs"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations gives the schema of the read models as numbered SQL files, in the
// form that postgres.Migrate takes.
func Migrations() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return migrations // cannot be: the name above is a valid path
	}
	return sub
}
