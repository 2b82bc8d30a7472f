package channelx

import (
	"context"
	"fmt"
	"mime"
	"path"
	"strings"
)

// takeAvatar keeps the picture that came with a request, if one did, and puts its
// URL where it belongs. Whatever is no picture is refused: it would be shown as one.
func (d *Door) takeAvatar(ctx context.Context, p *params, to *string) error {
	files := p.files("avatar")
	if len(files) == 0 {
		return nil
	}
	header := files[0]
	kind, _, err := mime.ParseMediaType(header.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "image/") || header.Size == 0 {
		return invalidRecord{Texts: []string{"Avatar type not supported"}, Attributes: []string{"avatar"}}
	}
	if header.Size > maxPicture {
		return invalidRecord{Texts: []string{"Avatar is too big"}, Attributes: []string{"avatar"}}
	}
	file, err := header.Open()
	if err != nil {
		return fmt.Errorf("open an avatar: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	url, _, err := d.Keeper.Keep(ctx, path.Base(header.Filename), kind, file)
	if err != nil {
		return fmt.Errorf("keep an avatar: %w", err)
	}
	*to = url
	return nil
}

// maxPicture bounds a picture, in bytes.
const maxPicture = 15 << 20
