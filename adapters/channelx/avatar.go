package channelx

import "context"

// maxPicture bounds the picture of a contact or an inbox, in bytes.
const maxPicture = 15 << 20

// takeAvatar keeps the picture that came with a request, if one did, and puts its
// URL where it belongs. What is no picture is refused: it would be shown as one.
func (d *Door) takeAvatar(ctx context.Context, p *params, to *string) error {
	files := p.files("avatar")
	if len(files) == 0 {
		return nil
	}
	switch h := files[0]; {
	case kindOf(h.Header.Get("Content-Type")) != kindImage || h.Size == 0:
		return errNoPicture()
	case h.Size > maxPicture:
		return invalidRecord{Texts: []string{"Avatar is too big"}, Attributes: []string{"avatar"}}
	}
	file, err := d.takeFile(ctx, files[0])
	if err != nil {
		return err
	}
	if file.Kind != kindImage {
		return errNoPicture() // its content contradicts what it is said to be; nobody is told its address
	}
	*to = file.URL
	return nil
}

func errNoPicture() error {
	return invalidRecord{Texts: []string{"Avatar filetype not supported"}, Attributes: []string{"avatar"}}
}
