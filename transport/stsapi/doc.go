// Package stsapi answers GetCallerIdentity of the Security Token Service, which tools call first to learn the account
// they work in. It is a neighbour: every other action is answered 501 with one sentence.
//
// The package reads forms and writes XML, the query protocol, version 2011-06-15.
package stsapi
