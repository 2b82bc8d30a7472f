package httpapi

import (
	"bytes"
	"context"
	"net/http"

	"github.com/parley-im/parley/domain"
)

const tagFiles = "Files"

const (
	// maxFileBody bounds an uploaded file, in bytes.
	maxFileBody = DefaultMaxBody
	// mostUploads bounds the files that are in memory at a time.
	mostUploads = 8
)

// fileView is a file that can be sent.
type fileView struct {
	URL      string `json:"url" doc:"Answers without credentials, to GET, HEAD and Range. Nobody can guess it; whoever has it can fetch the file."`
	FileName string `json:"fileName"`
	Size     int64  `json:"size" doc:"Bytes."`
}

func (p *platform) fileRoutes() {
	if p.Files == nil {
		return
	}
	handle(p, operation{
		id: "create-file", method: http.MethodPost, path: "/v1/files", tag: tagFiles, need: domain.RoleAgent,
		summary: "Upload a file", status: http.StatusCreated, mostBody: maxFileBody,
		description: "The body is the file, at most 8 MiB. Send it with a message by putting the url and fileName of the answer into an attachment.",
	}, p.createFile)
}

func (p *platform) createFile(ctx context.Context, _ caller, in *struct {
	KeyParam
	Name    string `query:"name" required:"true" minLength:"1" maxLength:"255" doc:"File name with its extension; the type it is served with comes from there." example:"invoice-88.pdf"`
	RawBody []byte
},
) (*struct{ Body fileView }, error) {
	url, size, err := p.Files.Keep(ctx, in.Name, bytes.NewReader(in.RawBody))
	if err != nil {
		return nil, err
	}
	return &struct{ Body fileView }{Body: fileView{URL: url, FileName: in.Name, Size: size}}, nil
}
