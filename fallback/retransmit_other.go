//go:build !linux

package fallback

// retransmitOften would keep retransmissions from becoming rare.
func (l *link) retransmitOften() {}
