// Package cloudwatchapi takes PutMetricData of CloudWatch, which the Kinesis client and producer libraries call all the
// time and fill their logs with errors about where nobody answers. It is a neighbour: data are checked and counted, their
// values are not kept yet, and every other action is answered 501 with one sentence.
//
// The package speaks what SDKs of different ages send: the query protocol (forms and XML, version 2010-08-01), JSON 1.0
// (X-Amz-Target GraniteServiceVersion20100801.*) and RPC v2 CBOR (paths below /service/GraniteServiceVersion20100801),
// each plain or gzipped.
package cloudwatchapi
