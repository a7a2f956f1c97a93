// Package fleet asks many hosts for their IPC objects, over NATS, and answers for a host.
//
// An agent answers on the subjects gipc.HOST.ls, gipc.HOST.show, gipc.HOST.limits and
// gipc.HOST.snapshot, as a service of the NATS micro API named gipcs-agent. It only reads,
// and never sends the contents of memory or of messages. HOST is one token: bytes other
// than letters, digits, - and _ are written as %2E.
//
// The answer is what the sub-command of gipcs prints as NDJSON, compressed by gzip and cut
// into pages that fit into the server's max_payload. A host answers completely or counts as
// missing. The asker decides how many hosts send at a time, and bounds an answer in time
// and size. It does not trust what it receives: an answer names its host, and the caller
// must escape texts before showing them.
package fleet
