//go:build race

package fallback

// raceEnabled: the race detector uses much memory of its own.
const raceEnabled = true
