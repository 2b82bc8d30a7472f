package httpapi

import "net/http"

// response remembers what was answered, and holds back the plain-text answer
// that the mux gives when no route takes a request.
type response struct {
	http.ResponseWriter
	request *http.Request // the mux writes the pattern that matched into it
	status  int           // 0 until the header is sent
	missed  int           // status that the mux itself wanted to give
}

// WriteHeader sends the header.
func (w *response) WriteHeader(status int) {
	if w.status != 0 || w.missed != 0 {
		return
	}
	if w.request.Pattern == "" && (status == http.StatusNotFound || status == http.StatusMethodNotAllowed) {
		w.missed = status
		return
	}
	if status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the body.
func (w *response) Write(p []byte) (int, error) {
	if w.missed != 0 {
		return len(p), nil
	}
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// tell answers with a problem, past what is held back.
func (w *response) tell(p *Problem) {
	w.missed, w.status = 0, p.Status
	p.write(w.ResponseWriter)
}

// statusSent is the status that the caller sees.
func (w *response) statusSent() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}
