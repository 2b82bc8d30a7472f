package voximplant

import "github.com/parley-im/parley/domain"

// Limits of what is kept of a client, in characters; what is longer is cut.
const (
	maxProfileText = 1000
	maxProfileURL  = 2000
)

// readProfile gives the client_id of client_data as it stands there, and reads
// what is told besides (section 4.2). A field of the wrong kind does not cost the
// message: it is as good as absent, and so is an empty one. nil is an object that
// tells nothing.
func readProfile(v value) (id value, profile *domain.Profile) {
	var p domain.Profile
	var visit domain.Visit
	for name, m := range v.members() {
		switch string(name) {
		case "client_id":
			id = m
		case "client_phone":
			p.Phone = hint(m, maxProfileText)
		case "client_avatar":
			p.PictureURL = hint(m, maxProfileURL)
		case "client_display_name":
			p.DisplayName = hint(m, maxProfileText)
		case "client_email":
			p.Email = hint(m, maxProfileText)
		case "client_language":
			p.Language = hint(m, maxProfileText)
		case "utm":
			visit.UTM = readUTM(m)
		case "page":
			readPage(m, &visit)
		case "location":
			readLocation(m, &visit)
		case "device":
			readDevice(m, &visit)
		}
	}
	if told(visit) {
		p.Visit = &visit
	}
	if p == (domain.Profile{}) {
		return id, nil
	}
	return id, &p
}

// told tells whether anything is known of a visit.
func told(v domain.Visit) bool {
	return len(v.UTM) > 0 || v.Latitude != nil || v.Longitude != nil ||
		v.PageURL+v.PageTitle+v.Country+v.CountryCode+v.Region+v.RegionCode+v.City+v.IPAddress+v.DeviceType+v.DeviceModel+v.UserAgent != ""
}

func readUTM(v value) domain.Texts {
	if !v.is('{') {
		return nil
	}
	texts := domain.Texts{}
	for name, m := range v.members() {
		switch n := string(name); n {
		case "source", "campaign", "content", "medium", "term":
			if s := hint(m, maxProfileText); s != "" {
				texts[n] = s
			} else {
				delete(texts, n) // the last of doubled ones counts
			}
		}
	}
	if len(texts) == 0 {
		return nil
	}
	return texts
}

func readPage(v value, visit *domain.Visit) {
	if !v.is('{') {
		return
	}
	for name, m := range v.members() {
		switch string(name) {
		case "url":
			visit.PageURL = hint(m, maxProfileURL)
		case "title":
			visit.PageTitle = hint(m, maxProfileText)
		}
	}
}

func readLocation(v value, visit *domain.Visit) {
	if !v.is('{') {
		return
	}
	for name, m := range v.members() {
		switch string(name) {
		case "latitude":
			visit.Latitude = degrees(m, 90)
		case "longitude":
			visit.Longitude = degrees(m, 180)
		case "country":
			visit.Country = hint(m, maxProfileText)
		case "country_code":
			visit.CountryCode = hint(m, maxProfileText)
		case "region":
			visit.Region = hint(m, maxProfileText)
		case "region_code":
			visit.RegionCode = hint(m, maxProfileText)
		case "city":
			visit.City = hint(m, maxProfileText)
		case "ip_address":
			visit.IPAddress = hint(m, maxProfileText)
		}
	}
}

func readDevice(v value, visit *domain.Visit) {
	if !v.is('{') {
		return
	}
	for name, m := range v.members() {
		switch string(name) {
		case "type":
			visit.DeviceType = hint(m, maxProfileText)
		case "model":
			visit.DeviceModel = hint(m, maxProfileText)
		case "user_agent":
			visit.UserAgent = hint(m, maxProfileURL)
		}
	}
}
