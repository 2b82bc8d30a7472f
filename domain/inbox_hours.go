package domain

import "time"

// OpenAt tells whether a time is within the working hours of the inbox; always,
// where it has none (channelx.md 3.2 and 8.9).
func (i Inbox) OpenAt(at time.Time) bool {
	if !i.WorkingHours {
		return true
	}
	at = at.In(i.Location())
	h := i.hoursOf(at.Weekday())
	switch {
	case h.ClosedAll:
		return false
	case h.OpenAll:
		return true
	}
	minute := at.Hour()*60 + at.Minute()
	return minute >= h.OpenHour*60+h.OpenMinute && minute < h.CloseHour*60+h.CloseMinute
}

// Location is the inbox's time zone; UTC where its name is not known.
func (i Inbox) Location() *time.Location {
	location, err := time.LoadLocation(i.Timezone)
	if err != nil {
		return time.UTC
	}
	return location
}

// hoursOf gives the hours of a day; those that the inbox does not name are from 9
// to 17, and none at week-ends.
func (i Inbox) hoursOf(day time.Weekday) Hours {
	for _, h := range i.Hours {
		if h.Day == int(day) {
			return h
		}
	}
	if day == time.Saturday || day == time.Sunday {
		return Hours{Day: int(day), ClosedAll: true}
	}
	return Hours{Day: int(day), OpenHour: 9, CloseHour: 17}
}
