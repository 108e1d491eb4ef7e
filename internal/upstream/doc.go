// Package upstream hands requests on to a cinder-api: what Stoker does not serve
// itself goes there as it came, and the answer comes back as it is, both streamed.
//
//	client ──▶ api ──▶ Pass ──▶ httputil.ReverseProxy ──▶ RoundTrip ──▶ first cinder-api that takes it
//
// Several addresses are tried in their order, those that the last look found away
// after the others. A request goes to a second one only when the first cannot
// have carried it out: no connection came about, or it only reads and has no body.
//
// It judges nothing: tokens, policy and bodies are cinder-api's business. What it
// bounds is time without progress, never the length of a stream.
package upstream
