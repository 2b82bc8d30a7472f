package httpapi

import (
	"github.com/parley-im/parley/domain"
)

// attachmentInput is a file by reference. The names of respond-io.md 3.3 and
// their forms with underscores both count; the former win.
type attachmentInput struct {
	Type          string `json:"type" enum:"image,video,audio,file"`
	URL           string `json:"url" doc:"Absolute http or https, at most 2,000 characters. The integration fetches it." example:"https://cdn.example.com/receipt.png"`
	MimeType      string `json:"mimeType,omitempty" example:"image/png"`
	MimeTypeAlias string `json:"mime_type,omitempty" doc:"The same as mimeType."`
	FileName      string `json:"fileName,omitempty" example:"receipt.png"`
	FileNameAlias string `json:"file_name,omitempty" doc:"The same as fileName."`
	Description   string `json:"description,omitempty" doc:"Has meaning only for an image."`
}

// itemInput is one of several things that go with a text.
type itemInput struct {
	Type          string   `json:"type" enum:"image,video,audio,file,contact,location"`
	URL           string   `json:"url,omitempty" doc:"For image, video, audio and file: absolute http or https, at most 2,000 characters. The integration fetches it."`
	MimeType      string   `json:"mimeType,omitempty"`
	MimeTypeAlias string   `json:"mime_type,omitempty" doc:"The same as mimeType."`
	FileName      string   `json:"fileName,omitempty"`
	FileNameAlias string   `json:"file_name,omitempty" doc:"The same as fileName."`
	Name          string   `json:"name,omitempty" doc:"For contact."`
	Number        string   `json:"number,omitempty" doc:"For contact: the phone number."`
	Avatar        string   `json:"avatar,omitempty" doc:"For contact."`
	Latitude      *float64 `json:"latitude,omitempty" doc:"For location: degrees."`
	Longitude     *float64 `json:"longitude,omitempty" doc:"For location: degrees."`
	Address       string   `json:"address,omitempty" doc:"For location."`
}

// item gives the domain's form, with only the fields that count.
func (in itemInput) item() domain.Item {
	i := domain.Item{Type: in.Type}
	switch in.Type {
	case domain.ItemContact:
		i.Name, i.Number, i.Avatar = in.Name, in.Number, in.Avatar
	case domain.ItemLocation:
		i.Latitude, i.Longitude, i.Address = in.Latitude, in.Longitude, in.Address
	default:
		i.URL, i.MimeType, i.FileName = in.URL, first(in.MimeType, in.MimeTypeAlias), first(in.FileName, in.FileNameAlias)
	}
	return i
}

// ContentInput is what a message is to say; which fields count depends on type.
type ContentInput struct {
	Type        string           `json:"type" enum:"text,attachment,location,quick_reply"`
	Text        string           `json:"text,omitempty" doc:"For text: 1 to 7,000 characters; on a voximplant channel up to 65,536 and on a channelx channel up to 150,000, and none where there are attachments." example:"We open again on Monday."`
	Attachment  *attachmentInput `json:"attachment,omitempty" doc:"For attachment."`
	Attachments []itemInput      `json:"attachments,omitempty" nullable:"false" doc:"For text on a voximplant channel: at most 100 things that go with it, in one message; on a channelx channel at most 15 files."`
	Latitude    *float64         `json:"latitude,omitempty" doc:"For location: degrees."`
	Longitude   *float64         `json:"longitude,omitempty" doc:"For location: degrees."`
	Address     string           `json:"address,omitempty" doc:"For location: at most 256 characters."`
	Title       string           `json:"title,omitempty" doc:"For quick_reply: 1 to 256 characters."`
	Replies     []string         `json:"replies,omitempty" nullable:"false" doc:"For quick_reply: 1 to 10 texts of 1 to 256 characters."`
}

// content gives the domain's form, with only the fields that count.
func (in ContentInput) content() domain.Content {
	c := domain.Content{Type: domain.ContentType(in.Type)}
	switch c.Type {
	case domain.ContentText:
		c.Text = in.Text
		for _, i := range in.Attachments {
			c.Attachments = append(c.Attachments, i.item())
		}
	case domain.ContentAttachment:
		if a := in.Attachment; a != nil {
			c.Attachment = &domain.Attachment{
				Type: a.Type, URL: a.URL, MimeType: first(a.MimeType, a.MimeTypeAlias),
				FileName: first(a.FileName, a.FileNameAlias), Description: a.Description,
			}
		}
	case domain.ContentLocation:
		c.Latitude, c.Longitude, c.Address = in.Latitude, in.Longitude, in.Address
	case domain.ContentQuickReply:
		c.Title, c.Replies = in.Title, in.Replies
	}
	return c
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// attachmentView is a file by reference.
type attachmentView struct {
	Type        string `json:"type" enum:"image,video,audio,file"`
	URL         string `json:"url"`
	MimeType    string `json:"mimeType,omitempty"`
	FileName    string `json:"fileName,omitempty"`
	Description string `json:"description,omitempty"`
}

// itemView is one of several things that go with a text.
type itemView struct {
	Type      string   `json:"type" enum:"image,video,audio,file,contact,location,unsupported"`
	URL       string   `json:"url,omitempty"`
	MimeType  string   `json:"mimeType,omitempty"`
	FileName  string   `json:"fileName,omitempty"`
	Name      string   `json:"name,omitempty"`
	Number    string   `json:"number,omitempty"`
	Avatar    string   `json:"avatar,omitempty"`
	Latitude  *float64 `json:"latitude,omitempty"`
	Longitude *float64 `json:"longitude,omitempty"`
	Address   string   `json:"address,omitempty"`
	Raw       any      `json:"raw,omitempty" doc:"What an unsupported one came as."`
}

func showItems(items []domain.Item) []itemView {
	out := make([]itemView, len(items))
	for i, item := range items {
		out[i] = itemView{
			Type: item.Type, URL: item.URL, MimeType: item.MimeType, FileName: item.FileName, Name: item.Name, Number: item.Number,
			Avatar: item.Avatar, Latitude: item.Latitude, Longitude: item.Longitude, Address: item.Address,
		}
		if len(item.Raw) > 0 {
			out[i].Raw = item.Raw
		}
	}
	return out
}
