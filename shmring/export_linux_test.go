package shmring

// SleepApart makes s sleep as it does where the kernel has no futex_waitv(2).
func (s *Selector) SleepApart() { s.apart = true }

// Calm makes s sleep without spinning first.
func (s *Selector) Calm() { s.calm = true }
