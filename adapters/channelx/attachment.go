package channelx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/gif"  // sizes of pictures
	_ "image/jpeg" // sizes of pictures
	_ "image/png"  // sizes of pictures
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/parley-im/parley/domain"
)

// Bounds of what is looked at in a file.
const (
	maxSniffed   = 512     // bytes of its beginning that tell what it is
	maxHeader    = 1 << 20 // bytes until the size of a picture is told
	maxDimension = 1 << 16 // width or height that is believed
	maxFileName  = 200     // bytes of a name, with the extension
	maxExtension = 20      // bytes of an extension, with the dot
)

// Kinds of files (channelx.md 3.10).
const (
	kindImage = "image"
	kindVideo = "video"
	kindAudio = "audio"
	kindFile  = "file"
)

// unknownType is the content type of a file of which nothing is known, or nothing
// is believed.
const unknownType = "application/octet-stream"

// takeFiles keeps the files that came under a name, in their order, and describes
// them. All are looked at before the first is kept. They can be fetched from then
// on; those of a message that is refused afterwards have addresses that nobody
// was told.
func (d *Door) takeFiles(ctx context.Context, p *params, name string, voice bool) ([]domain.PostFile, error) {
	headers := p.files(name)
	if len(headers) == 0 {
		return nil, nil
	}
	most := d.maxAttachment()
	if len(headers) > maxFiles {
		return nil, refusedFile("are too many (maximum is " + strconv.Itoa(maxFiles) + ")")
	}
	for _, h := range headers {
		if h.Size > most {
			return nil, refusedFile("size is too big (maximum is " + strconv.FormatInt(most>>20, 10) + " MB)")
		}
		if h.Size == 0 {
			return nil, refusedFile("must not be empty")
		}
	}
	files := make([]domain.PostFile, 0, len(headers))
	for _, h := range headers {
		file, err := d.takeFile(ctx, h)
		if err != nil {
			return nil, err
		}
		file.Voice = voice && file.Kind == kindAudio
		files = append(files, file)
	}
	return files, nil
}

// refusedFile is what the sender of files is told.
func refusedFile(text string) error {
	return invalidRecord{Texts: []string{"Attachments " + text}, Attributes: []string{"attachments"}}
}

// takeFile keeps one file.
func (d *Door) takeFile(ctx context.Context, h *multipart.FileHeader) (domain.PostFile, error) {
	content, err := h.Open()
	if err != nil {
		return domain.PostFile{}, fmt.Errorf("open an attachment: %w", err)
	}
	defer func() { _ = content.Close() }() // it was only read

	file, err := describe(h.Filename, h.Header.Get("Content-Type"), content)
	if err != nil {
		return file, fmt.Errorf("look at an attachment: %w", err)
	}
	if file.ID, err = d.Numbers.ID(ctx, "file", 0); err != nil {
		return file, err
	}
	file.URL, file.Size, err = d.Keeper.Keep(ctx, file.Name, file.ContentType, content)
	if domain.CodeOf(err) == domain.CodeInvalid {
		return file, refusedFile("are invalid: " + err.Error())
	}
	if err != nil {
		return file, &domain.Error{Code: domain.CodeUnavailable, Message: "the file could not be kept", Err: err}
	}
	return file, nil
}

// describe tells what a file is: what it was declared to be, where its beginning
// does not contradict that, and otherwise what it looks like. It leaves the
// content at its beginning.
func describe(name, declared string, content io.ReadSeeker) (domain.PostFile, error) {
	head := make([]byte, maxSniffed)
	n, err := io.ReadFull(content, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return domain.PostFile{}, err
	}
	file := domain.PostFile{ContentType: contentTypeOf(name, declared, head[:n])}
	file.Kind = kindOf(file.ContentType)
	file.Name = fileName(name, file.ContentType)
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return file, err
	}
	if file.Kind != kindImage {
		return file, nil
	}
	size, _, err := image.DecodeConfig(io.LimitReader(content, maxHeader))
	if err == nil && size.Width > 0 && size.Height > 0 && size.Width <= maxDimension && size.Height <= maxDimension {
		file.Width, file.Height = size.Width, size.Height
	}
	_, err = content.Seek(0, io.SeekStart)
	return file, err
}

// contentTypeOf is the type that a file is served with.
func contentTypeOf(name, declared string, head []byte) string {
	kind, options, err := mime.ParseMediaType(declared)
	if err != nil || kind == unknownType || !strings.Contains(kind, "/") {
		kind, options = "", nil
		if known, further, err := mime.ParseMediaType(mime.TypeByExtension(strings.ToLower(path.Ext(name)))); err == nil {
			kind, options = known, further
		}
	}
	switch {
	case isProgram(head):
		// A program under the name of a picture is for nobody to open.
		return unknownType
	case isPage(head) && !mayBePage(kind):
		return unknownType
	case kind == "":
		return http.DetectContentType(head)
	}
	if full := mime.FormatMediaType(kind, options); full != "" && len(full) <= domain.MaxNumberedName {
		return full
	}
	return kind
}

// programs are how files begin that a machine would run.
var programs = [][]byte{
	[]byte("MZ"), []byte("\x7fELF"), []byte("#!"), []byte("\xfe\xed\xfa\xce"), []byte("\xfe\xed\xfa\xcf"), []byte("\xce\xfa\xed\xfe"),
	[]byte("\xcf\xfa\xed\xfe"), []byte("\xca\xfe\xba\xbe"),
}

// isProgram tells whether a machine would run the file.
func isProgram(head []byte) bool {
	return slices.ContainsFunc(programs, func(begin []byte) bool { return bytes.HasPrefix(head, begin) })
}

// isPage tells whether a browser that looked at the file would run what is in it.
func isPage(head []byte) bool {
	seen := http.DetectContentType(head)
	return strings.HasPrefix(seen, "text/html") || strings.HasPrefix(seen, "text/xml")
}

// mayBePage tells whether a type says that the file is a page, or text. Pages are
// served in a sandbox.
func mayBePage(kind string) bool {
	return strings.HasPrefix(kind, "text/") || strings.Contains(kind, "xml") || strings.Contains(kind, "html") || strings.Contains(kind, "json")
}

// The types that are pictures and videos; all others of their families are files.
var (
	imageTypes = []string{"image/jpeg", "image/jpg", "image/png", "image/gif", "image/bmp", "image/webp"}
	videoTypes = []string{"video/ogg", "video/mp4", "video/webm", "video/quicktime"}
)

// kindOf is the kind of a file by its content type (channelx.md 3.10).
func kindOf(contentType string) string {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	switch {
	case slices.Contains(imageTypes, kind):
		return kindImage
	case slices.Contains(videoTypes, kind):
		return kindVideo
	case strings.Contains(kind, "audio/"):
		return kindAudio
	default:
		return kindFile
	}
}

// extensions are what names get that have none: clients take the name of a file
// from its address.
var extensions = map[string]string{
	"image/jpeg": ".jpg", "image/jpg": ".jpg", "image/png": ".png", "image/gif": ".gif", "image/bmp": ".bmp", "image/webp": ".webp",
	"video/ogg": ".ogv", "video/mp4": ".mp4", "video/webm": ".webm", "video/quicktime": ".mov",
	"audio/ogg": ".ogg", "audio/mpeg": ".mp3", "audio/mp4": ".m4a", "audio/aac": ".aac", "audio/wav": ".wav", "audio/webm": ".weba",
	"application/pdf": ".pdf", "text/plain": ".txt", "text/csv": ".csv",
}

// fileName makes the name that a file is served under: one path segment without
// what a name cannot hold, short, and with its extension.
func fileName(name, contentType string) string {
	name = clean(name)
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return -1
		}
		return r
	}, name)
	name = strings.TrimLeft(strings.TrimSpace(name), ". ")
	extension := path.Ext(name)
	if len(extension) > maxExtension || extension == "." {
		extension = ""
	}
	stem := strings.TrimSuffix(name, extension)
	if stem == "" {
		stem = kindFile
	}
	if extension == "" {
		kind, _, _ := strings.Cut(contentType, ";")
		extension = extensions[kind]
	}
	for len(stem)+len(extension) > maxFileName {
		_, last := utf8.DecodeLastRuneInString(stem)
		stem = stem[:len(stem)-last]
	}
	return stem + extension
}
