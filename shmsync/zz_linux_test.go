package shmsync_test
func playHold([]string) error { return nil }
func playWait([]string) error { return nil }
func playRace([]string) error { return nil }
func playChurn([]string) error { return nil }
func playName([]string) error { return nil }
