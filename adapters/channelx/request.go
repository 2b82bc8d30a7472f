package channelx

import (
	"net/http"
	"strconv"
	"strings"
)

// request is a request with what it says.
type request struct {
	*http.Request

	params *params
}

// value gives a part of the path, without the suffix that says what answer is
// wanted.
func (r *request) value(name string) string {
	v := r.PathValue(name)
	if strings.HasSuffix(r.Pattern, "{"+name+"}") {
		v = strings.TrimSuffix(v, jsonSuffix)
	}
	return v
}

// id reads a number of the path; CodeNotFound for what is none, because there can
// be nothing there.
func (r *request) id(name string) (int64, error) {
	n, err := strconv.ParseInt(r.value(name), 10, 64)
	if err != nil || n <= 0 {
		return 0, errNotThere
	}
	return n, nil
}

// maxPage bounds the pages that are looked at.
const maxPage = 1_000_000

// page reads which page is asked for, from 1, and the text that says so, which is
// "" where nothing does.
func (r *request) page() (page int, given string) {
	given, _ = r.params.text("page")
	n, ok := r.params.integer("page")
	if !ok || n < 1 {
		return 1, given
	}
	return int(min(n, maxPage)), given
}

// currentPage is how lists tell the page: the number 1 where none was asked for,
// and otherwise the text that asked (channelx.md 4.3).
func (r *request) currentPage() any {
	if _, given := r.page(); given != "" {
		return given
	}
	return 1
}

// jsonSuffix may end any path, and then means nothing (channelx.md 2.1).
const jsonSuffix = ".json"
