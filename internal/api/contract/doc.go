// Package contract holds the answers of the API to openapi.yaml. It is for
// tests: no released program has it.
//
// A Contract is the document, compiled. Everything counts that the document
// says of an answer: that there is such an operation, its status, headers and
// content types, and the body, in which no field may stand that the document
// does not name. The events of a stream are looked at as they come.
//
//	broken := func(err error) { t.Error(err) }
//	server := httptest.NewServer(c.Handler(api, broken))  // what a server answers
//	client := http.Client{Transport: c.Transport(base, broken)}  // what a client gets
package contract
