package units

import (
	"strconv"
	"time"
)

// AppendDuration appends a length of time for people, in whole numbers of its two
// largest units: 3d4h, 5m10s, 42s. ParseDuration parses it.
func AppendDuration(dst []byte, d time.Duration) []byte {
	const day = 24 * time.Hour
	switch {
	case d >= day:
		return appendUnits(dst, d, day, 'd', time.Hour, 'h')
	case d >= time.Hour:
		return appendUnits(dst, d, time.Hour, 'h', time.Minute, 'm')
	case d >= time.Minute:
		return appendUnits(dst, d, time.Minute, 'm', time.Second, 's')
	default:
		return append(strconv.AppendInt(dst, int64(d/time.Second), 10), 's')
	}
}

func appendUnits(dst []byte, d, large time.Duration, largeName byte, small time.Duration, smallName byte) []byte {
	dst = append(strconv.AppendInt(dst, int64(d/large), 10), largeName)
	if rest := d % large / small; rest != 0 {
		dst = append(strconv.AppendInt(dst, int64(rest), 10), smallName)
	}
	return dst
}
